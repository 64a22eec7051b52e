using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Metaparticle.Sync
{
    /// <summary>Text on its way to C and back: UTF-8, whatever the platform's own encoding is.</summary>
    internal static class Text
    {
        private static readonly UTF8Encoding Strict = new UTF8Encoding(false, true);

        /// <summary>Ending in NUL; an exception says what is wrong with the text.</summary>
        internal static byte[] ToC(string what, string text)
        {
            if (text == null)
                throw new ArgumentNullException(what);
            if (text.IndexOf('\0') >= 0)
                throw new ArgumentException(what + ": \"" + text + "\" has a NUL character in it");
            try
            {
                return Strict.GetBytes(text + '\0');
            }
            catch (EncoderFallbackException)
            {
                throw new ArgumentException(what + ": \"" + text + "\" is not valid Unicode");
            }
        }

        internal static string Of(IntPtr text)
        {
            if (text == IntPtr.Zero)
                return null;
            var length = 0;
            while (Marshal.ReadByte(text, length) != 0)
                length++;
            var bytes = new byte[length];
            Marshal.Copy(text, bytes, 0, length);
            return Encoding.UTF8.GetString(bytes);
        }
    }
}
