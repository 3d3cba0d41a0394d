package internal_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	azidentity = "github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	msal       = "github.com/AzureAD/microsoft-authentication-library-for-go/apps/"

	// wholly stands for all of them: the environment as a whole, or a function that reads any.
	wholly = "(any)"

	unset  = "unset by main"
	unused = "of a credential that the program does not make"
)

// environment are the environment variables that what is linked reads, outside the standard library, and why each is
// harmless. A variable that chooses where a token goes, or what is logged, is unset by main.
var environment = map[string]map[string]string{
	azidentity: {
		"AZURE_REGIONAL_AUTHORITY_NAME":       unset,
		"AZURE_AUTHORITY_HOST":                "only where no authority is given: identity gives one",
		"AZURE_ADDITIONALLY_ALLOWED_TENANTS":  unused,
		"AZURE_CLIENT_CERTIFICATE_PASSWORD":   unused,
		"AZURE_CLIENT_CERTIFICATE_PATH":       unused,
		"AZURE_CLIENT_ID":                     unused,
		"AZURE_CLIENT_SECRET":                 unused,
		"AZURE_CLIENT_SEND_CERTIFICATE_CHAIN": unused,
		"AZURE_FEDERATED_TOKEN_FILE":          unused,
		"AZURE_PASSWORD":                      unused,
		"AZURE_TENANT_ID":                     unused,
		"AZURE_TOKEN_CREDENTIALS":             unused,
		"AZURE_USERNAME":                      unused,
		"SYSTEM_OIDCREQUESTURI":               unused,
		wholly:                                unused,
	},
	azidentity + "/internal/customtokenproxy": {
		"AZURE_KUBERNETES_CA_DATA":     unused,
		"AZURE_KUBERNETES_CA_FILE":     unused,
		"AZURE_KUBERNETES_SNI_NAME":    unused,
		"AZURE_KUBERNETES_TOKEN_PROXY": unused,
	},
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime": {
		"OS": "a word of the User-Agent, on Windows",
	},
	"github.com/Azure/azure-sdk-for-go/sdk/internal/log": {
		"AZURE_SDK_GO_LOGGING": "main sets the listener to none",
	},
	msal + "confidential": {
		"MSAL_FORCE_REGION": unset,
	},
	msal + "internal/oauth/ops/authority": {
		"REGION_NAME": "only where a region is asked for: neither of the two that ask for one is set",
	},
	msal + "managedidentity": {
		"DEFAULT_IDENTITY_CLIENT_ID": unused,
		"IDENTITY_ENDPOINT":          unused,
		"IDENTITY_HEADER":            unused,
		"IDENTITY_SERVER_THUMBPRINT": unused,
		"IMDS_ENDPOINT":              unused,
		"MSI_ENDPOINT":               unused,
		"MSI_SECRET":                 unused,
		"ProgramData":                unused,
	},
	"github.com/sethvargo/go-githubactions": {
		wholly: "a default: runner gives the library a function of its own",
	},
	"go.yaml.in/yaml/v4/internal/libyaml": {
		wholly: "of a plugin that the program does not load",
	},
	"golang.org/x/net/http2": {
		"DEBUG_HTTP2_GOROUTINES": "HTTP/2 is not used",
		"GODEBUG":                "HTTP/2 is not used",
	},
}

// What is linked reads no environment variable that is not known here, and main unsets what the list says.
func TestEnvironmentOfWhatIsLinked(t *testing.T) {
	want := map[string][]string{}
	var toUnset []string
	for place, variables := range environment {
		for name, why := range variables {
			want[place] = append(want[place], name)
			if why == unset {
				toUnset = append(toUnset, name)
			}
		}
		slices.Sort(want[place])
	}
	got := map[string][]string{}
	for _, p := range linked(t) {
		if names := read(t, p); len(names) > 0 {
			got[p.ImportPath] = names
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is linked reads other variables than this test knows (-known +read):\n%s", diff)
	}
	main := parse(t, "../main.go")
	for _, name := range toUnset {
		var found bool
		ast.Inspect(main, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			found = found || ok && literal.Value == strconv.Quote(name)
			return true
		})
		if !found {
			t.Errorf("main does not unset %s", name)
		}
	}
}

// A linkedPackage is a package of another module that is in the program.
type linkedPackage struct {
	ImportPath, Dir string
	GoFiles         []string
	Standard        bool
}

// linked returns the packages of other modules that are in the program.
func linked(t *testing.T) (all []linkedPackage) {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,Standard", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p linkedPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if !p.Standard && p.ImportPath != module && !strings.HasPrefix(p.ImportPath, module+"/") {
			all = append(all, p)
		}
	}
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// read returns the names of the variables that a package reads.
func read(t *testing.T, p linkedPackage) (names []string) {
	t.Helper()
	var files []*ast.File
	constants := map[string]string{}
	for _, name := range p.GoFiles {
		file := parse(t, filepath.Join(p.Dir, name))
		files = append(files, file)
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for i, value := range spec.Values {
					if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
						constants[spec.Names[i].Name], _ = strconv.Unquote(literal.Value)
					}
				}
			}
			return true
		})
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if name := variable(n, constants); name != "" {
					names = append(names, name)
				}
				if slices.ContainsFunc(n.Args, readsEnvironment) {
					names = append(names, wholly)
				}
			case *ast.KeyValueExpr: // os.Getenv as a value
				if readsEnvironment(n.Value) {
					names = append(names, wholly)
				}
			case *ast.AssignStmt:
				if slices.ContainsFunc(n.Rhs, readsEnvironment) {
					names = append(names, wholly)
				}
			}
			return true
		})
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readers are the functions that read one variable, or all of them.
var readers = map[string]bool{"Getenv": true, "LookupEnv": true, "Environ": true, "ExpandEnv": true}

// readsEnvironment reports whether an expression is one of the functions that read the environment.
func readsEnvironment(e ast.Expr) bool {
	function, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, ok := function.X.(*ast.Ident)
	return ok && (of.Name == "os" || of.Name == "syscall") && readers[function.Sel.Name]
}

// variable returns the name of the variable that a call reads; "" if it reads none.
func variable(call *ast.CallExpr, constants map[string]string) string {
	if !readsEnvironment(call.Fun) {
		return ""
	}
	if len(call.Args) == 0 {
		return wholly
	}
	switch name := call.Args[0].(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(name.Value)
		return text
	case *ast.Ident:
		if text := constants[name.Name]; text != "" {
			return text
		}
	}
	return wholly
}
