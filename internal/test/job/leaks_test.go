package job

import (
	"maps"
	"slices"
	"testing"
)

// The leak check must be able to fail: it finds a canary in each encoding, wherever it begins.
func TestLeakCheckFindsEachEncoding(t *testing.T) {
	canary := `Kx"7<~.pT2%mW&9-zQ1` + "é\n" + `end of it`
	for _, name := range slices.Sorted(maps.Keys(Encodings)) {
		for _, before := range []string{"", "a", "ab", "abc"} {
			text := before + Encodings[name](canary) + " after"
			if len(FindLeaks([]string{canary}, map[string]string{"text": text})) == 0 {
				t.Errorf("%s after %q: the check does not see the canary", name, before)
			}
		}
	}
	if found := FindLeaks([]string{canary}, map[string]string{"text": "nothing to see"}); found != nil {
		t.Errorf("the check sees %v where nothing is", found)
	}
}
