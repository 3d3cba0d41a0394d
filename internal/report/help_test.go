package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	const message = `input file: neither file nor secrets is given; expected one of the two`
	const page = "/.github/TROUBLESHOOTING.md#neither-file-nor-secrets-is-given"
	for _, test := range []struct{ server, repository, ref, want string }{
		{"https://github.com", "octo-org/kv", "v1", "https://github.com/octo-org/kv/blob/v1" + page},
		{"https://octo.ghe.com/", "o/kv.x", "refs/heads/a-b", "https://octo.ghe.com/o/kv.x/blob/refs/heads/a-b" + page},
		{"https://github.com", "", "", ""},                    // uses: ./
		{"https://github.com", "octo-org/kv", "", ""},         // likewise
		{"http://github.com", "octo-org/kv", "v1", ""},        // not GitHub's
		{"https://github.com", "octo-org/kv/../x", "v1", ""},  // no repository
		{"https://github.com", "octo-org/kv", "v1)[x](y", ""}, // no ref
		{"https://github.com", "octo-org/kv", "../../x", ""},  // likewise
	} {
		if got := NewHelp(test.server, test.repository, test.ref).Link(message); got != test.want {
			t.Errorf("%s %s %s: got %q, want %q", test.server, test.repository, test.ref, got, test.want)
		}
	}
	if got := NewHelp("https://github.com", "octo-org/kv", "v1").Link("something else"); got != "" {
		t.Errorf("a message that nothing explains has the link %q", got)
	}
	if got := (Help{}).Link(message); got != "" {
		t.Errorf("the zero Help has the link %q", got)
	}
}

// No link leads to a heading that is not there.
func TestHelpIsWritten(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", ".github", "TROUBLESHOOTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, heading := range headings {
		if !strings.Contains(string(text), "\n## `"+heading+"`\n") {
			t.Errorf("TROUBLESHOOTING.md has no heading %q", heading)
		}
	}
}
