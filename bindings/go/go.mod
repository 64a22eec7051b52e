module github.com/metaparticle-io/sync/go/sync

go 1.24
