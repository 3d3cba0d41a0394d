package declaration

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"
)

// hostile texts, each with a part of the refusal it gets.
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
	{"billion laughs", laughs(), "once aliases are replaced"},
	{"an alias in itself", "a: &a [*a]\n", "inside its own anchor"},
	{"UTF-16, little endian", "\xff\xfe" + utf16Bytes("secrets: {}", 0), "UTF-16"},
	{"UTF-16, big endian", "\xfe\xff" + utf16Bytes("secrets: {}", 1), "UTF-16"},
	{"UTF-16 without a mark", utf16Bytes("secrets: {}", 0), "NUL"},
	{"a NUL", "secrets:\n  a: \x00\n", "passwords.yml:2:6: a NUL"},
	{"Latin-1", "secrets:\n  a: {login: J\xfcrgen}\n", "passwords.yml:2:15: byte 0xFC"},
	{"tabs", "secrets:\n\ta: default\n", "passwords.yml:2:1: not YAML: found a tab"},
	{"a control character", "secrets:\n  a: \x07\n", "control characters"},
	{"1 MB of keys", "secrets:\n" + numbered("  k%d:\n", 1<<20-10), "no vault is known"},
	{"1 MB of flow keys", "{" + strings.Repeat("a,", 1<<19-2) + "}", ""},
	{"1 MB of list items", "[" + strings.Repeat("a,", 1<<19-2) + "]", ""},
	{"1 MB of block items", strings.Repeat("- a\n", 1<<18), ""},
	{"1 MB of bare dashes", strings.Repeat("-\n", 1<<19), ""},
	{"1 MB of unknown keys", numbered("k%d: a\n", 1<<20-10), ""},
	{"1 MB of one duplicate key", strings.Repeat("a: b\n", 1<<20/5), ""},
	{"1 MB of colons", strings.Repeat(":", 1<<20), ""},
	{"1 MB of anchors", numbered("- &a%d a\n", 1<<20-10), ""},
	{"1 MB of quotes", strings.Repeat("'", 1<<20), ""},
	{"1 MB of question marks", strings.Repeat("?\n", 1<<19), ""},
	{"1 MB of braces", strings.Repeat("{},", 1<<20/3), ""},
	{"1 MB of dollars", "vault: kv-app\nsecrets: {a: {value: '" + strings.Repeat("$.", 1<<19-40) + "'}}", ""},
	{"1 MB of unknown parts", "vault: kv-app\nsecrets: {a: {value: '" + strings.Repeat("${x}", 1<<18-40) + "'}}", ""},
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
		fmt.Fprintf(&text, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
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

// numbered repeats a format with a counter up to a length in bytes.
func numbered(format string, length int) string {
	var text strings.Builder
	for i := 0; text.Len() < length-20; i++ {
		fmt.Fprintf(&text, format, i)
	}
	return text.String()
}

func TestHostileTextsAreRefusedWithinBounds(t *testing.T) {
	const most = 64 << 20 // bytes allocated in all, which is never less than what is in use at once
	for _, tt := range hostile {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Parse(Source{File: "passwords.yml", Text: []byte(tt.text)})
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %.300q, want one with %q", fmt.Sprint(err), tt.want)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > most {
				t.Errorf("%d MB were allocated, want at most %d", allocated>>20, most>>20)
			}
		})
	}
}

// BenchmarkHostile states the time that each takes; the bound is 100 ms.
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
