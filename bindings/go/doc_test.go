package mpsync

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// undocumented names what a declaration exports without a comment.
func undocumented(declaration ast.Decl) (names []string) {
	switch declared := declaration.(type) {
	case *ast.FuncDecl:
		if declared.Name.IsExported() && !ofUnexported(declared) && declared.Doc == nil {
			names = append(names, declared.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range declared.Specs {
			names = append(names, undocumentedSpec(spec, declared)...)
		}
	}
	return names
}

func ofUnexported(function *ast.FuncDecl) bool {
	if function.Recv == nil {
		return false
	}
	receiver := function.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	return !ast.IsExported(receiver.(*ast.Ident).Name)
}

func undocumentedSpec(spec ast.Spec, all *ast.GenDecl) (names []string) {
	switch declared := spec.(type) {
	case *ast.TypeSpec:
		if !declared.Name.IsExported() {
			return nil
		}
		if all.Doc == nil {
			names = append(names, declared.Name.Name)
		}
		if fields, ok := declared.Type.(*ast.StructType); ok {
			names = append(names, undocumentedFields(declared.Name.Name, fields)...)
		}
	case *ast.ValueSpec:
		// The values of Err… say what they are; every other constant needs words of its own in a group.
		alone := !all.Lparen.IsValid() || all.Tok == token.VAR
		if declared.Names[0].IsExported() && declared.Comment == nil && declared.Doc == nil && (!alone || all.Doc == nil) {
			names = append(names, declared.Names[0].Name)
		}
	}
	return names
}

func undocumentedFields(name string, fields *ast.StructType) (names []string) {
	for _, field := range fields.Fields.List {
		if len(field.Names) > 0 && field.Names[0].IsExported() && field.Comment == nil && field.Doc == nil {
			names = append(names, name+"."+field.Names[0].Name)
		}
	}
	return names
}

// Everything that the package exports has a comment, the fields and constants too.
func TestEverythingIsDocumented(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) == 0 {
		t.Fatal("no sources", err)
	}
	beside, _ := filepath.Glob("resourcelock/*.go") // not there where only this module is
	paths = append(paths, beside...)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			for _, name := range undocumented(declaration) {
				t.Errorf("%s: %s has no comment", path, name)
			}
		}
	}
}
