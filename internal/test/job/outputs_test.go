package job

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOutputs(t *testing.T) {
	for text, want := range map[string]Outputs{
		"":                                nil,
		"a<<X\n1\nX\n":                    {{"a", "1"}},
		"a<<X\n\nX\n":                     {{"a", ""}},
		"a<<X\n1\n2\nX\n\nb<<Y\nX\nY\n":   {{"a", "1\n2"}, {"b", "X"}},
		"a<<X\nb<<Y\nX\n":                 {{"a", "b<<Y"}},
		"a<<X\n1X\nX2\nX\nb<<X\n\n3\nX\n": {{"a", "1X\nX2"}, {"b", "\n3"}},
	} {
		got, err := ParseOutputs(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v, outputs (-want +got):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"a=1\n", "a<<X\n1\n", "a<<X\n1\nX", "a<<X\n1\nX\nmode=force\n", "a<<\n1\n\n",
		"<<X\n1\nX\n", "a=b<<X\n1\nX\n"} {
		if got, err := ParseOutputs(text); err == nil {
			t.Errorf("%q became %v; expected an error", text, got)
		}
	}
}
