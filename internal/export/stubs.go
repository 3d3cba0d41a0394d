package export

import (
	"io"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/refusal"
)

// SARIF is being written.
func SARIF(io.Writer, *audit.Report, Run) error {
	return Omitted{refusal.Refusal{Cause: "there is no such form yet"}}
}

// HTML is being written.
func HTML(io.Writer, *audit.Report, Run) error {
	return Omitted{refusal.Refusal{Cause: "there is no such form yet"}}
}
