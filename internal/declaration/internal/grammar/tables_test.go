package grammar

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"keyvault-passwords/internal/lifecycle"
)

// The documentation of a key states the bounds and names that the code has.
func TestDocumentedBounds(t *testing.T) {
	for key, want := range map[string]string{
		"content-type": fmt.Sprintf("at most %d characters", maxType),
		"tags": fmt.Sprintf("At most %d tags, with names and values of at most %d characters. The action's own tags "+
			"are refused: %s.",
			lifecycle.MaxUserTags, maxTag, quoted(lifecycle.OwnTags())),
	} {
		i := slices.IndexFunc(secretFields, func(f field[Secret]) bool { return f.name == key })
		if doc := secretFields[i].doc; !strings.Contains(doc, want) {
			t.Errorf("%s: %q does not say %q", key, doc, want)
		}
	}
}
