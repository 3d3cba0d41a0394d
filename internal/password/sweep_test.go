package password

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/password/internal/uniform"
)

// More of the sweep: go test ./internal/password -run Sweep -v -sweep-seed 2 -sweep-count 1250 -sweep-sample 1250
var (
	sweepSeed   = flag.Uint64("sweep-seed", 1, "the seed of the policies that TestSweep compiles")
	sweepCount  = flag.Int("sweep-count", sweepPolicies, "how many policies of each family TestSweep compiles")
	sweepSample = flag.Int("sweep-sample", sweepPolicies/10,
		"from how many of these TestSweep draws to estimate their entropy")
)

// A family is the kinds of rules that policies of the sweep have besides the plain ones.
type family struct {
	name                                      string
	neighbours, lengths, patterns, dictionary bool
}

var families = []family{
	{name: "plain"},
	{name: "runs and sequences", neighbours: true},
	{name: "range, runs and sequences", lengths: true, neighbours: true},
	{name: "patterns", patterns: true},
	{name: "dictionary", dictionary: true},
	{name: "dictionary, range", dictionary: true, lengths: true},
	{name: "dictionary, runs and sequences", dictionary: true, neighbours: true},
	{name: "all of it", lengths: true, neighbours: true, patterns: true, dictionary: true},
}

var (
	sweepLengths = []int{12, 14, 16, 20, 24, 32, 40, 48, 64}
	sweepSymbols = []string{"-._~", "!@#$%^&*", "_", "!#$%&()*+,-./:;<=>?@[]^_{|}~"}
	sweepWords   = strings.Fields("password passwort admin administrator root azure contoso fabrikam welcome letmein " +
		"qwerty test prod staging secret summer winter monday company user guest login service database sql key " +
		"vault github actions microsoft windows linux")
	sweepLogins = strings.Fields("sa admin sqladmin app-service-admin db_owner jane.doe jdoe42 svc-payments-prod " +
		"contoso-web-01 pgadmin a1 appuser_rw")
	sweepPatterns = []string{
		"[a-z]{5}", "[0-9]{4}", "^[0-9]", "[^A-Za-z0-9]$", "(?i)(19|20)[0-9]{2}", "[aeiou]{3}", "--",
		"(.)[0-9](.)[0-9]",
		"[A-Z]{4}", "^[^A-Za-z]", "(?i)pass", "[0-9]$", `[^A-Za-z0-9]{2}`, "(?i)admin[0-9]", "^[A-Z][a-z]+[0-9]+$",
		"[a-z]{3}[0-9]{3}", `\.\.`, "[a-zA-Z]{8}",
		"(?i)(mon|tues|wednes|thurs|fri|satur|sun)day", "(?i)(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)",
		"(?i)(spring|summer|autumn|winter)(19|20)?[0-9]{2}", "(?i)qwer|asdf|zxcv", "(?i)admin|root|sa", "[A-Za-z]{6,}",
		"^.{0,3}[0-9]", "[0-9]{2}$", `\W\W`, "[-._~]{2,}", "[0-9][A-Z][0-9]", "^[A-Z].*[0-9]$", `\b[0-9]+\b`,
		"(?i)p[a@]ss", `[0-9]{2}[-/.][0-9]{2}`, "aa|bb|cc", "[01]{3}", "(?i)[aeiou].?[aeiou].?[aeiou]", `\s`,
		"[A-Z]{2}.*[A-Z]{2}",
	}
)

// sweepPolicy returns a policy of the family as people write them.
func sweepPolicy(f family, random *rand.Rand) Policy {
	one := func(of []string) string { return of[random.IntN(len(of))] }
	in := func(of int) bool { return random.IntN(of) == 0 }
	length := sweepLengths[random.IntN(len(sweepLengths))]
	p := Policy{Length: Length{length, length}, MinEntropy: 1}
	if f.lengths {
		p.Length.Max += 4 << random.IntN(4)
	}
	for _, class := range []string{"lower", "upper", "digit"} {
		c := Charset{From: class, Min: random.IntN(4)}
		if class == "digit" && in(4) {
			most := 4 + random.IntN(6)
			c.Max = &most
		}
		p.Characters = append(p.Characters, c)
	}
	p.Characters = append(p.Characters, Charset{Chars: one(sweepSymbols), Min: random.IntN(3)})
	p.ExcludeAmbiguous = in(3)
	if in(3) {
		p.First = []string{one([]string{"letter", "lower", "upper", "alphanumeric"})}
	}
	if in(4) {
		p.Last = []string{one([]string{"letter", "alphanumeric", "digit"})}
	}
	if f.neighbours {
		p.MaxRun, p.MaxSequence = 1+random.IntN(3), 2+random.IntN(3)
	}
	for range random.IntN(13) {
		p.Forbid = append(p.Forbid, one(sweepWords))
	}
	if in(2) {
		p.Login = one(sweepLogins)
	}
	if f.patterns {
		for range 1 + random.IntN(2) {
			p.ForbidPatterns = append(p.ForbidPatterns, one(sweepPatterns))
		}
	}
	if f.dictionary {
		p.Dictionary = "english"
	}
	return p
}

// sweptPolicies returns the policies of a family, the same in each run.
func sweptPolicies(f int) []Policy {
	random := rand.New(rand.NewPCG(*sweepSeed, uint64(f)))
	var all []Policy
	for range *sweepCount {
		all = append(all, sweepPolicy(families[f], random))
	}
	return all
}

// A sweep is what is seen of the policies of a family.
type sweep struct {
	refused, empty, exact int
	took                  []time.Duration
	allocated             uint64  // the highest: by one compilation, whether it is freed meanwhile or not
	tries, cost, gap      float64 // the highest
}

// What is promised of each policy of the sweep.
const (
	sweepCost      = 20_000   // of a draw, in steps of about a nanosecond
	sweepAllocated = 32 << 20 // bytes
)

// Policies as people write them are counted: none is refused because it cannot be certified. What is drawn takes no
// more tries than promised and 20 us on average, and the entropy is at most half a bit above what is promised.
func TestSweep(t *testing.T) {
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-31s %8s %6s %6s %9s %9s %9s %7s %7s %6s\n", "family", "refused", "empty", "exact",
		"median", "slowest", "allocated", "tries", "cost", "gap")
	for f, family := range families {
		var s sweep
		for i, p := range sweptPolicies(f) {
			s.compile(t, p, i < *sweepSample)
		}
		slices.Sort(s.took)
		fmt.Fprintf(&table, "%-31s %8d %6d %6d %7.1fms %7.1fms %7.1fMB %7.1f %5.1fus %6.2f\n", family.name, s.refused,
			s.empty, s.exact, milliseconds(s.took[len(s.took)/2]), milliseconds(s.took[len(s.took)-1]),
			float64(s.allocated)/(1<<20), s.tries, s.cost/1000, s.gap)
	}
	t.Log(table.String())
}

// Long passwords, of which many hold a word, and sets whose maximums make many combinations with the limit of runs are
// bounded as closely as the policies of the sweep.
func TestLongPolicies(t *testing.T) {
	maximums := fourSets(64, 3, "-._~")
	maximums.MaxRun = 2
	for i := range maximums.Characters {
		maximums.Characters[i].Max = limit(30)
	}
	lower, four := []Charset{{From: "lower"}}, fourSets(32, 1, "-._~").Characters
	for _, p := range []Policy{
		{Length: Length{512, 512}, Dictionary: "english", Characters: four},
		{
			Length: Length{200, 256}, Dictionary: "english", Characters: four, MaxRun: 1, MaxSequence: 2,
			Login: "sqladmin",
		},
		{Length: Length{128, 128}, Dictionary: "english", Characters: lower},
		{Length: Length{384, 384}, Dictionary: "english", Characters: lower, ForbidPatterns: []string{"[aeiou]{6}"}},
		maximums,
	} {
		s, err := Compile(p)
		if err != nil {
			t.Errorf("%+v: %v", p, err)
			continue
		}
		t.Logf("%v: %s, %.2f bits more, %.0f steps", p.Length, s.Entropy(), entropyGap(t, s), s.strings.Cost)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// compile compiles a policy, and draws from it if it is to be looked at closely.
func (s *sweep) compile(t *testing.T, p Policy, closely bool) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	space, err := Compile(p)
	s.took = append(s.took, time.Since(start))
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	if s.allocated = max(s.allocated, allocated); allocated > sweepAllocated {
		t.Errorf("%+v takes %d bytes to compile", p, allocated)
	}
	if refused, ok := errors.AsType[*Error](err); ok {
		if !strings.Contains(refused.Problems[0].Cause, "cannot be certified") {
			s.empty++
			return
		}
		s.refused++
		t.Errorf("%+v is refused: %s", p, refused.Problems[0].Cause)
		return
	}
	c := space.strings
	s.tries, s.cost = max(s.tries, c.Tries), max(s.cost, c.Cost)
	if space.exact {
		s.exact++
	}
	if c.Cost > sweepCost {
		t.Errorf("%+v is drawn in %.0f steps", p, c.Cost)
	}
	if closely {
		s.gap = max(s.gap, entropyGap(t, space))
	}
}

// entropyGap estimates by how many bits the entropy of a space is above what is promised: from how many candidates of a
// sample, of which there are Tries times as many as passwords are promised, are passwords.
func entropyGap(t *testing.T, s *Space) float64 {
	const wanted = 400
	from := uniform.NewSource(seeded(7))
	dst := make([]byte, s.max)
	candidates, passwords := 0, 0
	for ; float64(candidates) < wanted*s.strings.Tries; candidates++ {
		from.Reset(256)
		length, ok, err := s.strings.Try(dst, from)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}
		if passwords++; passwords <= 20 && !conforms(s.policy, string(dst[:length])) {
			t.Errorf("%+v draws what is no password", s.policy)
		}
	}
	// The number of passwords has a standard deviation of less than its root: 5 % of it.
	gap := math.Log2(float64(passwords) * s.strings.Tries / float64(candidates))
	const noise = 0.3 // bits: four standard deviations
	if gap < -noise || gap > 0.5+noise || s.exact && gap > noise {
		t.Errorf("%+v has %.2f bits more than promised (exact: %t)", s.policy, gap, s.exact)
	}
	return gap
}
