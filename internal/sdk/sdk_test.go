package sdk_test

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"keyvault-passwords/internal/sdk"
)

func TestIsAt(t *testing.T) {
	for address, want := range map[string]bool{
		"https://kv.vault.azure.net/secrets":             true,
		"https://KV.vault.azure.net:443/secrets":         true,
		"https://kv.vault.azure.net:8443/secrets":        false,
		"http://kv.vault.azure.net/secrets":              false,
		"https://kv.vault.azure.net.example.com/":        false,
		"https://kv.vault.azure.net@example.com/":        false,
		"https://user@kv.vault.azure.net/":               false,
		"https://kv2.vault.azure.net/":                   false,
		"https://example.com/https://kv.vault.azure.net": false,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := sdk.IsAt(u, "kv.vault.azure.net"); got != want {
			t.Errorf("%s: %t; want %t", address, got, want)
		}
	}
}

// What is printed of an answer has the shape of a code: anything else could be a value that was echoed.
func TestCode(t *testing.T) {
	for _, text := range []string{"Forbidden", "secret.not_found-2", strings.Repeat("a", 64)} {
		if got := sdk.Code(text); got != text {
			t.Errorf("%q is left out", text)
		}
	}
	for _, text := range []string{"", "two words", "a/b", "é", "a\nb", "::error::", strings.Repeat("a", 65)} {
		if got := sdk.Code(text); got != "" {
			t.Errorf("%q is printed as %q", text, got)
		}
	}
}

func TestPolicyName(t *testing.T) {
	for found, want := range map[string]string{
		"Secrets should expire. ":          "Secrets should expire",
		strings.Repeat("a", 23) + " it":    strings.Repeat("a", 23) + " it",
		"say " + strings.Repeat("a", 24):   "",
		strings.Repeat("a", 24) + " first": "",
	} {
		if got := sdk.PolicyName(found); got != want {
			t.Errorf("%q: %q; want %q", found, got, want)
		}
	}
}

// A body is an answer's, which notes that it was closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error {
	b.closed = true
	return nil
}

// An answer is read to its last byte, not beyond what it may have, and closed.
func TestReadAll(t *testing.T) {
	whole, long := &body{Reader: strings.NewReader("12345")}, &body{Reader: strings.NewReader("123456")}
	if content, err := sdk.ReadAll(whole, 5); string(content) != "12345" || err != nil {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := sdk.ReadAll(long, 5); !errors.Is(err, sdk.ErrTooLarge) {
		t.Errorf("an answer of a byte more: %v", err)
	}
	if !whole.closed || !long.closed {
		t.Error("an answer is left open")
	}
}

// The text of a panic may quote an answer, so nothing is left of it.
func TestCatchPanic(t *testing.T) {
	if err := sdk.CatchPanic(func() error { panic("s3cret") }); !errors.Is(err, sdk.ErrPanic) ||
		strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a panic ends as %v", err)
	}
	if err := sdk.CatchPanic(func() error { return io.EOF }); !errors.Is(err, io.EOF) {
		t.Errorf("an error ends as %v", err)
	}
}

type refusing struct{}

func (refusing) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, io.EOF
}

// Why there is no token is told from what the service answers, and its cause is kept.
func TestMarked(t *testing.T) {
	_, err := sdk.Marked(refusing{}).GetToken(t.Context(), policy.TokenRequestOptions{})
	if marked, ok := errors.AsType[*sdk.TokenError](err); !ok || !errors.Is(marked, io.EOF) {
		t.Errorf("got %v", err)
	}
}
