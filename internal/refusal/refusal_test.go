package refusal_test

import (
	"errors"
	"fmt"
	"testing"

	"keyvault-passwords/internal/refusal"
)

// embedding is an error of another package, which has more to tell than the refusal.
type embedding struct {
	refusal.Refusal
	status int
}

func TestError(t *testing.T) {
	for _, tc := range []struct {
		name string
		r    refusal.Refusal
		want string
	}{
		{"the cause alone", refusal.Refusal{Cause: "it is gone"}, "it is gone"},
		{"with a remedy", refusal.Refusal{Cause: "it is gone", Remedy: "make another"}, "it is gone; make another"},
		{
			"all of it",
			refusal.Refusal{Act: "looking it up", Cause: "it is gone", Remedy: "make another", Trace: "request ID 7"},
			"looking it up: it is gone (request ID 7); make another",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.r.Error(); got != tc.want {
				t.Errorf("Error = %q; want %q", got, tc.want)
			}
		})
	}
}

func TestOf(t *testing.T) {
	r := refusal.Refusal{Act: "looking it up", Cause: "it is gone", Remedy: "make another", Kind: refusal.NotFound}
	for _, tc := range []struct {
		name string
		err  error
		want refusal.Refusal
	}{
		{"nothing", nil, refusal.Refusal{}},
		{"itself", r, r},
		{"a pointer to it", &r, r},
		{"embedded", &embedding{Refusal: r, status: 404}, r},
		{"wrapped", fmt.Errorf("setting: %w", embedding{Refusal: r}), r},
		{"the first of several", errors.Join(errors.New("x"), r, refusal.Refusal{Cause: "y"}), r},
		{"another error", errors.New("x"), refusal.Refusal{Cause: "x"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := refusal.Of(tc.err); got != tc.want {
				t.Errorf("Of = %+v; want %+v", got, tc.want)
			}
		})
	}
}

// What failed within another act is told as its cause, with its own act before it.
func TestWithin(t *testing.T) {
	inner := refusal.Refusal{Act: "signing in", Cause: "no credential", Remedy: "create one", Kind: refusal.Identity}
	want := refusal.Refusal{
		Act: "setting db", Cause: "signing in: no credential", Remedy: "create one", Kind: refusal.Identity,
	}
	if got := inner.Within("setting db"); got != want {
		t.Errorf("%+v; want %+v", got, want)
	}
	if got := inner.During("").Within("setting db").Cause; got != "no credential" {
		t.Errorf("without an act of its own: %q", got)
	}
}
