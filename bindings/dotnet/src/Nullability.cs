#if !NETCOREAPP && !NETSTANDARD2_1
namespace System.Diagnostics.CodeAnalysis
{
    /// <summary>Null may be given. What says so in C# 8 is no syntax of C# 7.</summary>
    [AttributeUsage(AttributeTargets.Field | AttributeTargets.Parameter | AttributeTargets.Property)]
    internal sealed class AllowNullAttribute : Attribute
    {
    }

    /// <summary>It may be null.</summary>
    [AttributeUsage(AttributeTargets.Property | AttributeTargets.ReturnValue)]
    internal sealed class MaybeNullAttribute : Attribute
    {
    }
}
#endif
