package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"keyvault-passwords/internal/test/emulator"
)

const day = 24 * time.Hour

// lived is the declaration of vaults that have been lived with. What they hold instead is in plant.
const lived = `vaults:
  prod: {name: kv-orders-prod}
  standby: {name: kv-orders-standby}
secrets:
  storefront-api-key:
    {policy: hex-256, content-type: key, expires: 90d, rotate: {before-expiry: 14d}, vaults: [prod]}
  sql-admin-password:
    {policy: azure-sql, content-type: password, expires: 90d, rotate: {after: 60d}, vaults: [prod]}
  redis-password:
    content-type: password
    expires: 90d
    rotate: {before-expiry: 14d}
    superseded: {disable-after: 24h}
    vaults: [prod]
  reporting-password:
    {content-type: password, expires: 90d, rotate: {before-expiry: 14d}, vaults: [prod]}
  smtp-relay-password:
    {content-type: password, expires: 90d, rotate: {before-expiry: 14d}, vaults: [prod]}
  partner-sftp-password:
    {content-type: password, expires: 90d, rotate: {before-expiry: 14d}, vaults: [prod]}
  orders-database-url:
    login: orders
    policy: azure-postgresql
    value: "postgres://${login}:${password|url}@pg-orders.postgres.database.azure.com/orders?sslmode=verify-full"
    content-type: url
    expires: 180d
    rotate: {after: 90d}
    vaults: [prod]
  signing-key:
    {policy: hex-256, content-type: key, expires: 90d, rotate: {before-expiry: 14d}, vaults: [prod, standby]}
  backup-encryption-key: {policy: hex-256, content-type: key, expires: 365d, rotate: {after: 300d}, vaults: [prod]}
  grafana-admin-password: {content-type: password, expires: 365d, rotate: {after: 300d}, vaults: [prod]}
  queue-password: {content-type: password, expires: 365d, rotate: {after: 300d}, vaults: [prod]}
  search-password: {content-type: password, expires: 365d, rotate: {after: 300d}, vaults: [prod]}
  session-key: {policy: hex-256, content-type: key, expires: 365d, rotate: {after: 300d}, vaults: [prod, standby]}
  mysql-replication-password: {content-type: password, expires: 365d, rotate: {after: 300d}, vaults: [prod, standby]}
  vpn-shared-key: {content-type: password, expires: 365d, rotate: {after: 300d}, vaults: [standby]}
  webhook-signing-key: {content-type: password, expires: 365d, rotate: {after: 300d}, vaults: [standby]}
audit:
  max-age: 365d
  max-validity: 400d
  undeclared: warning
  ignore:
    - {name: "legacy-*", rules: [undeclared, too-old], reason: moves to another team in spring, until: 2999-03-31}
`

const (
	prod    = "kv-orders-prod"
	standby = "kv-orders-standby"
)

// older is a policy's tag that none of the declared policies has.
const older = "default@000000000000"

// policyOf finds a secret and its policy in a plan.
var policyOf = regexp.MustCompile(`(?m)^create +(\S+) .* (\S+@[0-9a-f]{12}) `)

// policies returns the tag of each declared secret's policy, as the plan for empty vaults has it.
func (d *demo) policies(ctx context.Context) (map[string]string, error) {
	command, err := d.command(ctx, "dry-run=true")
	if err != nil {
		return nil, err
	}
	plan, err := command.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("planning: %w: %s", err, plan)
	}
	tags := map[string]string{}
	for _, match := range policyOf.FindAllSubmatch(plan, -1) {
		tags[string(match[1])] = string(match[2])
	}
	return tags, nil
}

// plant puts into the vaults what an audit finds something about, and a rotation something to do.
func (d *demo) plant(ctx context.Context) error {
	policies, err := d.policies(ctx)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		vault, name string
		operation   string // of this action; "": somebody else made it
		policy      string // "": the declared one
		age, lives  int    // in days; lives: from its making to its expiry, 0: for ever
		contentType string // "": password
		plant       emulator.Plant
	}{
		{vault: prod, name: "storefront-api-key", operation: "a", age: 80, lives: 90, contentType: "key"},
		{vault: prod, name: "sql-admin-password", operation: "b", age: 97, lives: 90},
		{vault: prod, name: "redis-password", operation: "c", age: 30, lives: 90},
		{vault: prod, name: "redis-password", operation: "d", age: 12, lives: 90},
		{vault: prod, name: "smtp-relay-password", age: 500},
		{vault: prod, name: "partner-sftp-password", operation: "e", age: 9, lives: 90,
			plant: emulator.Plant{Disabled: true}},
		{
			vault: prod, name: "orders-database-url", operation: "f", policy: older, age: 41, lives: 180,
			contentType: "url",
		},
		{vault: prod, name: "signing-key", operation: "g", age: 40, lives: 90, contentType: "key"},
		{vault: standby, name: "signing-key", operation: "h", age: 10, lives: 90, contentType: "key"},
		{vault: prod, name: "backup-encryption-key", operation: "i", age: 210, lives: 365, contentType: "key"},
		{vault: prod, name: "grafana-admin-password", operation: "j", age: 160, lives: 365},
		{vault: prod, name: "queue-password", operation: "k", age: 125, lives: 365},
		{vault: prod, name: "search-password", operation: "l", age: 70, lives: 365},
		{vault: prod, name: "session-key", operation: "m", age: 66, lives: 365, contentType: "key"},
		{vault: standby, name: "session-key", operation: "m", age: 66, lives: 365, contentType: "key"},
		{vault: prod, name: "mysql-replication-password", operation: "n", age: 25, lives: 365},
		{vault: standby, name: "mysql-replication-password", operation: "n", age: 25, lives: 365},
		{vault: standby, name: "vpn-shared-key", operation: "o", age: 250, lives: 365},
		{vault: standby, name: "webhook-signing-key", operation: "p", age: 5, lives: 365},
		{vault: prod, name: "legacy-smtp", age: 900},
		{vault: prod, name: "webhook-token", age: 3, lives: 20},
		{vault: prod, name: "web-certificate", age: 3, lives: 300, contentType: "application/x-pkcs12",
			plant: emulator.Plant{Managed: true}},
	} {
		p.plant.Created = d.emulator.Now().Add(-time.Duration(p.age) * day)
		if p.lives > 0 {
			p.plant.Expires = p.plant.Created.Add(time.Duration(p.lives) * day)
		}
		p.plant.ContentType = cmp.Or(p.contentType, "password")
		if p.operation != "" {
			p.plant.Tags = map[string]string{"generated-by": "keyvault-passwords", "operation": p.operation,
				"policy": cmp.Or(p.policy, policies[p.name])}
		}
		if _, err := d.emulator.Put(p.vault, p.name, p.plant); err != nil {
			return err
		}
	}
	return nil
}

// due finds the output due in an output file.
var due = regexp.MustCompile(`(?m)^due<<.*\n(.*)$`)

// live starts vaults that have been lived with, and their declaration in the folder.
func (d *demo) live(ctx context.Context, folder string) error {
	d.declaration = filepath.Join(folder, "passwords.yml")
	if err := os.WriteFile(d.declaration, []byte(lived), 0o600); err != nil {
		return err
	}
	var err error
	if d.emulator, err = emulator.Start(emulator.Options{Dir: d.dir, Vaults: []string{prod, standby}}); err != nil {
		return err
	}
	return d.plant(ctx)
}

// showAudit shows an audit by an identity that may only list, its outputs and reports, and the rotation of what it
// found to be due.
func (d *demo) showAudit(ctx context.Context) error {
	folder := d.keep
	if folder == "" {
		var err error
		if folder, err = os.MkdirTemp("", "keyvault-passwords-audit-"); err != nil {
			return err
		}
	}
	if err := d.live(ctx, folder); err != nil {
		return err
	}
	defer func() { _ = d.emulator.Close() }()
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

// selected are the secrets of the rotation: what was made by hand is refused, as is what somebody disabled.
var selected = []string{"storefront-api-key", "sql-admin-password", "redis-password", "smtp-relay-password",
	"partner-sftp-password", "signing-key", "session-key"}

// showRotation shows the rotation of some secrets of two vaults. Two of them are refused; the others get what is due.
func (d *demo) showRotation(ctx context.Context) error {
	if err := d.live(ctx, cmp.Or(d.keep, d.dir)); err != nil {
		return err
	}
	defer func() { _ = d.emulator.Close() }()
	d.emulator.Grant("", "", emulator.Update)
	_, err := d.runAction(ctx, "A rotation, in which two secrets are refused: its step fails", "mode=rotate",
		"mask-outputs=none", "only="+strings.Join(selected, "\n"))
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		return errors.Join(errors.New("the rotation was to refuse two secrets"), err)
	}
	return nil
}
