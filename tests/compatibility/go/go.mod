module compatibility

go 1.24

require github.com/metaparticle-io/sync/go/sync v1.0.0

replace github.com/metaparticle-io/sync/go/sync => ../../../bindings/go
