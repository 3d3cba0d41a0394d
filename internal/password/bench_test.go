package password

import (
	"crypto/rand"
	"testing"
	"time"

	peer "github.com/sethvargo/go-password/password"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/uniform"
)

// fourSets is a policy of one length with the same minimum for lower, upper, digit and the given symbols.
func fourSets(length, minimum int, symbolChars string) Policy {
	return Policy{
		Length: Length{length, length},
		Characters: []Charset{
			{From: "lower", Min: minimum}, {From: "upper", Min: minimum}, {From: "digit", Min: minimum},
			{Chars: symbolChars, Min: minimum},
		},
	}
}

// neighbourly is the policy with a rule of each kind that needs an automaton: 24 characters of which four sets must
// appear, a letter first, runs of two at most, a login, and a hundred forbidden words.
func neighbourly() Policy {
	p := fourSets(24, 1, ascii.Symbols)
	p.First, p.MaxRun, p.Login = []string{"letter"}, 2, "app-service-admin"
	for i := range 100 {
		p.Forbid = append(p.Forbid, english()[i*107])
	}
	return p
}

// BenchmarkDraw draws into a buffer of the caller's, so that what a password is kept in is not counted.
func BenchmarkDraw(b *testing.B) {
	for _, bench := range []struct {
		name   string
		policy Policy
	}{
		{"32 of 4 sets, 2 of each", fourSets(32, 2, ascii.Symbols)},
		{"16 of 4 sets, 4 of each", fourSets(16, 4, ascii.Symbols)},
		{"32 of 4 sets, 8 of each, one symbol", fourSets(32, 8, "-")},
		{"24 with runs, first, login, 100 words", neighbourly()},
		{"32 and no English word", Policy{Dictionary: "english"}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s, err := Compile(bench.policy)
			if err != nil {
				b.Fatal(err)
			}
			from := uniform.NewSource(rand.Reader)
			dst := make([]byte, s.max)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.strings.Draw(dst, from); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDrawPeer compares with github.com/sethvargo/go-password in the same run: 32 characters with at least 2 of
// each of four sets here, with exactly 2 digits and 2 symbols there, which is the nearest that it can say. "times" is
// how often its time is ours.
func BenchmarkDrawPeer(b *testing.B) {
	s, err := Compile(fourSets(32, 2, ascii.Symbols))
	if err != nil {
		b.Fatal(err)
	}
	from := uniform.NewSource(rand.Reader)
	dst := make([]byte, s.max)
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		for range 100 {
			if _, err := s.strings.Draw(dst, from); err != nil {
				b.Fatal(err)
			}
		}
		between := time.Now()
		for range 100 {
			if _, err := peer.Generate(32, 2, 2, false, true); err != nil {
				b.Fatal(err)
			}
		}
		ours, theirs = ours+between.Sub(start), theirs+time.Since(between)
	}
	b.ReportMetric(float64(theirs)/float64(ours), "times")
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N)/100, "ours-ns")
	b.ReportMetric(float64(theirs.Nanoseconds())/float64(b.N)/100, "theirs-ns")
}

func BenchmarkCompile(b *testing.B) {
	policies := map[string]Policy{
		"english":                               {Dictionary: "english"},
		"24 with runs, first, login, 100 words": neighbourly(),
	}
	for _, name := range Presets() {
		policies[name], _ = Preset(name)
	}
	for name, p := range policies {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
