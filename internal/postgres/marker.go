package postgres

import (
	"regexp"
	"strings"
	"sync"
)

// The marker of an operation, in the comment of a role, behind what people wrote there. Whoever may log in as the role
// cannot change it.
const (
	markerBegin = "[keyvault-passwords operation="
	markerEnd   = "]"
)

// marker finds markers. It is compiled when it is first needed: most runs have no target.
var marker = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(` ?` + regexp.QuoteMeta(markerBegin) + `([0-9a-f]{1,64})` + regexp.QuoteMeta(markerEnd))
})

// markerOf returns the operation that a role's comment names; "" if it names none.
func markerOf(comment string) string {
	found := marker().FindStringSubmatch(comment)
	if found == nil {
		return ""
	}
	return found[1]
}

// withMarker returns a comment with the marker of an operation in place of any other, and all else as it was.
func withMarker(comment, operation string) string {
	kept := marker().ReplaceAllLiteralString(comment, "")
	if kept != "" {
		kept += " "
	}
	return kept + markerBegin + operation + markerEnd
}

// isOperation reports whether text is the ID of an operation as [markerOf] finds it.
func isOperation(text string) bool {
	return text != "" && len(text) <= 64 && strings.Trim(text, "0123456789abcdef") == ""
}
