package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"keyvault-passwords/internal/test/emulator"
)

const day = 24 * time.Hour

// audited is the declaration of the audit. What the vaults hold instead is in plant.
const audited = `vaults:
  app: {name: kv-app-prod}
  eu: {name: kv-app-eu}
secrets:
  api-key: {policy: hex-256, expires: 90d, rotate: {before-expiry: 14d}, content-type: key, vaults: [app]}
  sql-admin-password: {policy: azure-sql, expires: 90d, rotate: {after: 60d}, vaults: [app]}
  redis-password: {expires: 90d, rotate: {before-expiry: 14d}, superseded: {disable-after: 24h}, vaults: [app]}
  not-made-yet: {expires: 90d, rotate: {before-expiry: 14d}, vaults: [app]}
  removed-by-hand: {expires: 90d, rotate: {before-expiry: 14d}, vaults: [app]}
  made-by-hand: {expires: 90d, rotate: {before-expiry: 14d}, vaults: [app]}
  blocked: {expires: 90d, rotate: {before-expiry: 14d}, vaults: [app]}
  for-tomorrow: {expires: 90d, not-before: 48h, rotate: {before-expiry: 14d}, vaults: [app]}
  signing: {expires: 90d, rotate: {before-expiry: 14d}, vaults: [app, eu]}
audit:
  max-age: 365d
  max-validity: 400d
  undeclared: warning
  ignore:
    - {name: "legacy-*", rules: [undeclared, too-old], reason: moves to another team in spring, until: 2999-03-31}
`

// policyMade is a policy's tag of a version that the demo plants; none of the declared policies has it.
const policyMade = "default@000000000000"

// plant puts into the vaults what an audit finds something about.
func (d *demo) plant() error {
	ours := func(operation string) map[string]string {
		return map[string]string{"generated-by": "keyvault-passwords", "policy": policyMade, "operation": operation}
	}
	for _, p := range []struct {
		vault, name string
		age, lives  time.Duration // lives: from its making to its expiry; 0: for ever
		plant       emulator.Plant
	}{
		{vault: "kv-app-prod", name: "api-key", age: 80 * day, lives: 90 * day, plant: emulator.Plant{Tags: ours("a")}},
		{vault: "kv-app-prod", name: "sql-admin-password", age: 200 * day, lives: 90 * day,
			plant: emulator.Plant{Tags: ours("b")}},
		{vault: "kv-app-prod", name: "redis-password", age: 30 * day, lives: 90 * day,
			plant: emulator.Plant{Tags: ours("c")}},
		{vault: "kv-app-prod", name: "redis-password", age: 20 * day, lives: 90 * day,
			plant: emulator.Plant{Tags: ours("d")}},
		{vault: "kv-app-prod", name: "redis-password", age: 19 * day, lives: 90 * day,
			plant: emulator.Plant{Tags: ours("d")}},
		{vault: "kv-app-prod", name: "removed-by-hand", age: 9 * day},
		{vault: "kv-app-prod", name: "made-by-hand", age: 500 * day, plant: emulator.Plant{ContentType: "text/plain"}},
		{vault: "kv-app-prod", name: "blocked", age: 9 * day, lives: 90 * day,
			plant: emulator.Plant{Tags: ours("e"), Disabled: true}},
		{vault: "kv-app-prod", name: "for-tomorrow", age: day, lives: 90 * day, plant: emulator.Plant{
			Tags: ours("f"), NotBefore: d.emulator.Now().Add(day),
		}},
		{vault: "kv-app-prod", name: "signing", age: 40 * day, lives: 90 * day, plant: emulator.Plant{Tags: ours("g")}},
		{vault: "kv-app-eu", name: "signing", age: 10 * day, lives: 90 * day, plant: emulator.Plant{Tags: ours("h")}},
		{vault: "kv-app-prod", name: "legacy-smtp", age: 900 * day, plant: emulator.Plant{ContentType: "text/plain"}},
		{vault: "kv-app-prod", name: "who-made-this", age: 3 * day, lives: 20 * day},
		{vault: "kv-app-prod", name: "web-certificate", age: 3 * day, lives: 300 * day,
			plant: emulator.Plant{Managed: true}},
	} {
		p.plant.Created = d.emulator.Now().Add(-p.age)
		if p.lives > 0 {
			p.plant.Expires = p.plant.Created.Add(p.lives)
		}
		if _, err := d.emulator.Put(p.vault, p.name, p.plant); err != nil {
			return err
		}
	}
	return d.emulator.Remove("kv-app-prod", "removed-by-hand")
}

// due finds the output due in an output file.
var due = regexp.MustCompile(`(?m)^due<<.*\n(.*)$`)

// showAudit shows an audit by an identity that may only list, its outputs and reports, and the rotation of what it
// found to be due.
func (d *demo) showAudit(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "keyvault-passwords-audit-")
	if err != nil {
		return err
	}
	d.declaration = filepath.Join(folder, "passwords.yml")
	if err := os.WriteFile(d.declaration, []byte(audited), 0o600); err != nil {
		return err
	}
	if d.emulator, err = emulator.Start(emulator.Options{
		Dir: d.dir, Vaults: []string{"kv-app-prod", "kv-app-eu"},
	}); err != nil {
		return err
	}
	defer func() { _ = d.emulator.Close() }()
	if err := d.plant(); err != nil {
		return err
	}
	d.emulator.Revoke("", "", emulator.SetSecret)
	reports := []string{"audit/vaults.json", "audit/vaults.csv", "audit/vaults.sarif", "audit/vaults.html"}
	outputs, err := d.runAction(ctx, "An audit, by an identity that may only list", "mode=audit", "fail-on=never",
		"report="+strings.Join(reports, "\n"))
	if err != nil {
		return err
	}
	d.emulator.Grant("", "", emulator.SetSecret)
	if match := due.FindStringSubmatch(outputs); match != nil {
		_, err = d.runAction(ctx, "The rotation of what is due, by an identity that may write", "mode=rotate",
			"only="+match[1])
	}
	d.heading("The declaration and the reports")
	for _, report := range append([]string{"passwords.yml"}, reports...) {
		fmt.Fprintln(d.out, filepath.Join(folder, filepath.FromSlash(report)))
	}
	return err
}
