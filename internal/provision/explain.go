package provision

import (
	"context"
	"errors"

	"keyvault-passwords/internal/refusal"
)

// explain returns err as the failure of an act ("looking it up"). It keeps the words of err and not err itself, which
// could lead to anything.
func explain(act string, err error) refusal.Refusal {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return refusal.Refusal{
			Act: act, Cause: "the run was stopped", Remedy: "run the job again", Kind: refusal.Cancelled,
		}
	}
	return refusal.Of(err).During(act)
}

// stopped is why a secret was not started.
func stopped(cause string) refusal.Refusal {
	return refusal.Refusal{Cause: "the run was stopped before " + cause, Remedy: "run the job again",
		Kind: refusal.Cancelled}
}
