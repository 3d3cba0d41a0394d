package provision

import (
	"context"
	"errors"

	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/refusal"
)

// explain returns the reason and remedy of err, the failure of an act ("looking it up").
func explain(act string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*keyvault.Error](err); ok {
		return &Error{Reason: e.During(act).Seen(), Remedy: e.Remedy, Kind: e.Kind}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &Error{Reason: act + ": the run was stopped", Remedy: "run again", Kind: refusal.Cancelled}
	}
	return &Error{Reason: act + ": " + err.Error()}
}

// concernsVault reports whether the failure of one secret's look-up will meet every other secret of the vault too, and so
// need not be waited for again and again.
func concernsVault(err error) bool {
	e, ok := errors.AsType[*keyvault.Error](err)
	return ok && e.WholeVault()
}

// notStarted is why nothing was sent for a step.
func notStarted() *Error {
	return &Error{Reason: "the run was stopped before this secret was started", Remedy: "run again", Kind: refusal.Cancelled}
}
