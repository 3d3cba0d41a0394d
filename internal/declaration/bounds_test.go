package declaration

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"keyvault-passwords/internal/declaration/internal/grammar"
	"keyvault-passwords/internal/declaration/internal/strict"
)

// hostile are hostile texts, each with a part of its refusal.
var hostile = []struct{ name, text, want string }{
	{"empty", "", "is empty"},
	{"only white space", " \n\n  \n", "is empty"},
	{"only a comment", "# secrets:\n", "is empty"},
	{"null", "~\n", "is empty"},
	{"10 MB", "secrets:\n" + strings.Repeat("# a comment\n", 10<<20/12), "has 10485"},
	{"10 MB of one line", "a: " + strings.Repeat("x", 10<<20), "has 10485"},
	{"flow lists 10,000 deep", strings.Repeat("[", 10_000), "max depth"},
	{"closed flow lists 10,000 deep", strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), "max depth"},
	{"flow mappings 10,000 deep", strings.Repeat("{a: ", 10_000), "max depth"},
	{"block lists 10,000 deep", strings.Repeat("- ", 10_000), "max depth"},
	{"block mappings 1,000 deep", staircase(1000), "max depth"},
	{"complex keys 10,000 deep", strings.Repeat("? ", 10_000), "max depth"},
	{"billion laughs", laughs(), "with aliases replaced"},
	{"an alias in itself", "a: &a [*a]\n", "inside its own anchor"},
	{"UTF-16, little endian", "\xff\xfe" + utf16Bytes("secrets: {}", 0), "UTF-16"},
	{"UTF-16, big endian", "\xfe\xff" + utf16Bytes("secrets: {}", 1), "UTF-16"},
	{"UTF-16 without a mark", utf16Bytes("secrets: {}", 0), "NUL"},
	{"a NUL", "secrets:\n  a: \x00\n", "passwords.yml:2:6: a NUL"},
	{"Latin-1", "secrets:\n  a: {login: J\xfcrgen}\n", "passwords.yml:2:15: byte 0xFC"},
	{"tabs", "secrets:\n\ta: default\n", "passwords.yml:2:1: not YAML: found a tab"},
	{"a control character", "secrets:\n  a: \x07\n", "control characters"},
	{"1 MB of line breaks", "a:\n" + strings.Repeat("\n", 1<<20-10), "line breaks and commas"},
	{"1 MB of commas", "[" + strings.Repeat("a,", 1<<19-2) + "]", "line breaks and commas"},
	{"secrets up to the bound", "secrets:\n" + numbered("  k%d:\n", strict.MaxBreaks-1), "no vault is known"},
	{"unknown keys up to the bound", numbered("k%d: a\n", strict.MaxBreaks), `unknown key "k1"`},
	{"a key again and again", strings.Repeat("a: b\n", strict.MaxBreaks), "twice, first at"},
	{"unknown policies up to the bound", "secrets:\n" + numbered("  k%d: p\n", strict.MaxBreaks-1), "unknown policy"},
	{"list items up to the bound", strings.Repeat("-\n", strict.MaxBreaks), "is a list"},
	{"complex keys up to the bound", strings.Repeat("?\n", strict.MaxBreaks), "twice, first at"},
	{"anchors up to the bound", numbered("- &a%d a\n", strict.MaxBreaks), "is a list"},
	{"1 MB of colons", strings.Repeat(":", 1<<20), "unknown key"},
	{"1 MB of quotes", strings.Repeat("'", 1<<20), "is text"},
	{"dollars up to the bound", withValue(strings.Repeat("$.", grammar.MaxValue/2)), "a single $"},
	{"unknown parts up to the bound", withValue(strings.Repeat("${x}", grammar.MaxValue/4)), "unknown part"},
	{"spaces up to the bound", withValue(strings.Repeat(" ", grammar.MaxValue-2) + "$."), "a single $"},
	{"a long value, repeated", "vault: kv-app\nsecrets:\n" +
		"  k: {value: &v '" + strings.Repeat("${x}", grammar.MaxValue/4) + "'}\n" +
		numbered("  k%d: {value: *v}\n", 2000), "with aliases replaced"},
	{"600 parts in 40 secrets", partsOften(600, 40), "no vault is known"},
	{"two long values by turns", "a: &a '" + strings.Repeat("x", grammar.MaxValue-9) + "${y}'\n" +
		"secrets:\n  z: {value: &z '" + strings.Repeat("x", grammar.MaxValue-9) + "${y}'}\n" +
		numbered("  k%d: {value: *a}\n  l%[1]d: {value: *z}\n", 50), "unknown part"},
	{"unknown parts in many secrets, up to the bound", "vault: kv-app\nsecrets: {" +
		numbered("k%d: {value: '${x}'}, ", strict.MaxBreaks/2) + "}", "unknown part"},
}

// withValue declares a secret with a value, which is put in quotes.
func withValue(text string) string { return "vault: kv-app\nsecrets: {a: {value: '" + text + "'}}" }

// partsOften declares secrets that share their parts, and the value made of them, by aliases. It names no vault.
func partsOften(parts, secrets int) string {
	return "secrets:\n  k: {generate: &g {" + numbered("p%d: hex-256, ", parts) + "}, value: &v '" +
		numbered("${p%d}", parts) + "'}\n" + numbered("  k%d: {generate: *g, value: *v}\n", secrets-1)
}

func staircase(depth int) string {
	var text strings.Builder
	for i := range depth {
		text.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return text.String()
}

func laughs() string {
	var text strings.Builder
	text.WriteString("a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n")
	for i := 1; i < 10; i++ {
		aliases := strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10)
		fmt.Fprintf(&text, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(aliases, ", "))
	}
	return text.String()
}

func utf16Bytes(text string, high int) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		pair := [2]byte{}
		pair[high], pair[1-high] = byte(unit>>8), byte(unit)
		if high == 0 {
			pair[0], pair[1] = byte(unit), byte(unit>>8)
		}
		b.Write(pair[:])
	}
	return b.String()
}

// numbered repeats a format, with a counter as its argument.
func numbered(format string, times int) string {
	var text strings.Builder
	for i := range times {
		fmt.Fprintf(&text, format, i)
	}
	return text.String()
}

func TestHostileTextsAreRefusedWithinBounds(t *testing.T) {
	// The total of allocated bytes is an upper bound of the bytes in use. A text up to the bounds may be a declaration
	// of tens of thousands of secrets, and may take more.
	const most, mostAtBounds = 64 << 20, 160 << 20
	for _, tt := range hostile {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Parse(Source{File: "passwords.yml", Text: []byte(tt.text)})
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %.300q, want one with %q", fmt.Sprint(err), tt.want)
			}
			limit := uint64(most)
			if strings.HasSuffix(tt.name, "up to the bound") {
				limit = mostAtBounds
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > limit {
				t.Errorf("%d MB were allocated, want at most %d", allocated>>20, limit>>20)
			}
		})
	}
}

// Reading costs in proportion to the parts, and to the secrets that have them by an alias.
func TestPartsCostInProportion(t *testing.T) {
	allocated := func(parts, secrets int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Parse(Source{File: "f.yml", Text: []byte(partsOften(parts, secrets))}); err == nil {
			t.Fatal("a declaration without a vault is accepted")
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(10, 2) // what is made once
	least := allocated(300, 20)
	for _, more := range []struct{ parts, secrets int }{{600, 20}, {1200, 20}, {300, 40}, {300, 80}} {
		times := uint64(more.parts / 300 * more.secrets / 20)
		if got := allocated(more.parts, more.secrets); got > least*times*3/2 {
			t.Errorf("%d parts in %d secrets allocate %d bytes, and 300 in 20 %d", more.parts, more.secrets, got, least)
		}
	}
}

// BenchmarkHostile measures the time of each. Expected are at most 100 ms.
func BenchmarkHostile(b *testing.B) {
	for _, tt := range hostile {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Parse(Source{File: "passwords.yml", Text: []byte(tt.text)})
			}
		})
	}
}
