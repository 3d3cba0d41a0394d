package strict

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	keys := []string{
		"length", "characters", "exclude", "max-run", "max-sequence", "forbid", "forbid-patterns", "min-entropy",
	}
	names := []string{"upper", "digit", "symbol", "azure-sql", "azure-postgresql", "hex-256"}
	for _, tt := range []struct {
		word  string
		known []string
		want  string
	}{
		{"charaters", keys, "characters"},
		{"Characters", keys, "characters"},
		{"lenght", keys, "length"},
		{"maxrun", keys, "max-run"},
		{"max_sequence", keys, "max-sequence"},
		{"forbid-pattern", keys, "forbid-patterns"},
		{"minimum-entropy", keys, "min-entropy"},
		{"entropy", keys, "min-entropy"},
		{"x", keys, ""},
		{"", keys, ""},
		{strings.Repeat("length", 20), keys, ""},
		{"azuresql", names, "azure-sql"},
		{"azure-postgres", names, "azure-postgresql"},
		{"postgresql", names, "azure-postgresql"},
		{"hex256", names, "hex-256"},
		{"uper", names, "upper"},
		{"digits", names, "digit"},
		{"symbols", names, "symbol"},
		{"eu", nil, ""},
	} {
		if got := Nearest(tt.word, tt.known); got != tt.want {
			t.Errorf("Nearest(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "abxc", 1},
		{"abc", "axc", 1},
		{"kitten", "sitting", 3}, {"ca", "abc", 3}, {"vualt", "vault", 1},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-c]{0,6}`)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		got := distance(a, b)
		if got != distance(b, a) || (got == 0) != (a == b) || got > max(len(a), len(b)) {
			t.Fatalf("distance(%q, %q) = %d, and %d the other way", a, b, got, distance(b, a))
		}
	})
}

func TestEnumerateIsBounded(t *testing.T) {
	names := strings.Split(strings.Repeat("n,", 99)+"n", ",")
	if got := enumerate(names); !strings.HasSuffix(got, "n and 76 more") || len(got) > 100 {
		t.Errorf("a hundred names are listed as %q", got)
	}
}

func TestEnumerateQuotesWhatIsNoName(t *testing.T) {
	got := enumerate([]string{"eu", "e\nu", strings.Repeat("x", 100)})
	if got != `eu, "e\nu", "`+strings.Repeat("x", 60)+`..."` {
		t.Errorf("got %s", got)
	}
}
