package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"keyvault-passwords/internal/test/emulator"
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
	draw := rand.New(rand.NewPCG(seed, 0))
	for _, i := range draw.Perm(len(survivable))[:4] {
		fault := survivable[i]
		fault.Nth = 1 + draw.IntN(2)
		e.Fault(fault)
	}
}

// describe says what failed, and whether the service had done what it was asked.
func describe(fired emulator.Fired) string {
	text := string(fired.Fault.Kind)
	if fired.Fault.Status != 0 {
		text += fmt.Sprintf(" %d", fired.Fault.Status)
	}
	if fired.Fault.Code != "" {
		text += " " + fired.Fault.Code
	}
	text += " at " + strings.TrimSpace(fired.Operation+" "+fired.Secret)
	if fired.Fault.Phase == emulator.After {
		text += ", after it was done"
	}
	return text
}
