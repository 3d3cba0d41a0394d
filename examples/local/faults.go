package main

import (
	"math/rand/v2"
	"net/http"
	"time"

	"keyvault-passwords/internal/emulator"
)

// survivable are faults that the action is to get over without help.
var survivable = []emulator.Fault{
	{Operation: "oidc", Kind: emulator.Status, Status: http.StatusServiceUnavailable},
	{Operation: "oidc", Kind: emulator.EmptyValue},
	{Operation: "token", Kind: emulator.Status, Code: "AADSTS700213"},
	{Operation: "token", Kind: emulator.Empty},
	{Operation: "versions", Kind: emulator.Cut},
	{Operation: "versions", Kind: emulator.Status, Status: http.StatusServiceUnavailable},
	{Operation: "versions", Kind: emulator.StaleToken},
	{Operation: "set", Kind: emulator.Cut, Phase: emulator.Before},
	{Operation: "set", Kind: emulator.Cut, Phase: emulator.After},
	{Operation: "set", Kind: emulator.Status, Phase: emulator.After, Status: http.StatusServiceUnavailable},
	{Operation: "set", Kind: emulator.Status, Status: http.StatusTooManyRequests, Code: "Throttled", RetryAfter: "1"},
	{Operation: "set", Kind: emulator.Truncated, Phase: emulator.After},
	{Operation: "set", Kind: emulator.Slow, Delay: time.Second},
}

// scheduleFaults has the services fail a few times, in ways and at requests that the seed draws.
func scheduleFaults(e *emulator.Emulator, seed uint64) {
	if seed == 0 {
		return
	}
	draw := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // which faults to show is no secret
	for _, i := range draw.Perm(len(survivable))[:4] {
		fault := survivable[i]
		fault.Nth = 1 + draw.IntN(2)
		e.Fault(fault)
	}
}
