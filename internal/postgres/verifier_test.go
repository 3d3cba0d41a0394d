package postgres

import (
	"encoding/base64"
	"strings"
	"testing"
)

// A verifier is what RFC 7677 derives from a password: with its server key the example's server signs as the RFC says.
func TestVerifier(t *testing.T) {
	const (
		saltText = "W22ZaJ0SNY7soEsUEjb6gQ=="
		// https://www.rfc-editor.org/rfc/rfc7677#section-3
		message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
			"s=" + saltText + ",i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
		signature = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	)
	salt, err := base64.StdEncoding.DecodeString(saltText)
	if err != nil {
		t.Fatal(err)
	}
	verifier := newVerifier([]byte("pencil"), salt)
	if !isVerifier(verifier) || !strings.HasPrefix(verifier, "SCRAM-SHA-256$4096:"+saltText+"$") {
		t.Fatalf("the verifier is %q", verifier)
	}
	serverKey, err := base64.StdEncoding.DecodeString(verifier[strings.LastIndex(verifier, ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	if got := base64.StdEncoding.EncodeToString(keyed(serverKey, message)); got != signature {
		t.Errorf("the server signs %s; want %s", got, signature)
	}
	if one, another := newSalt(), newSalt(); string(one) == string(another) {
		t.Error("two salts are equal")
	}
}

// What is no verifier is not taken for one: PostgreSQL would store it as a password.
func TestIsVerifier(t *testing.T) {
	good := newVerifier([]byte("x"), newSalt())
	for name, text := range map[string]string{
		"nothing": "", "a password": "correct horse", "an md5": "md5" + strings.Repeat("0", 32),
		"other iterations": strings.Replace(good, "4096", "1", 1), "a quote": strings.Replace(good, ":", ":'", 1),
		"a space": good + " ", "a newline": good + "\n", "a short key": good[:len(good)-4], "another key": good + ":x",
		"small letters": strings.ToLower(good[:13]) + good[13:], "no salt": strings.Replace(good, good[19:43], "", 1),
		"bits that are no salt": strings.Replace(good, "==$", "=", 1),
	} {
		if isVerifier(text) {
			t.Errorf("%s is taken for a verifier", name)
		}
	}
	if !isVerifier(good) {
		t.Error("a verifier is not taken for one")
	}
}

func TestMarker(t *testing.T) {
	const a, b = "0123456789abcdef", "fedcba9876543210"
	for comment, want := range map[string]string{
		"":                                  "[keyvault-passwords operation=" + b + "]",
		"the orders' \\ service":            "the orders' \\ service [keyvault-passwords operation=" + b + "]",
		withMarker("", a):                   "[keyvault-passwords operation=" + b + "]",
		withMarker("text $1", a):            "text $1 [keyvault-passwords operation=" + b + "]",
		"  two spaces ":                     "  two spaces  [keyvault-passwords operation=" + b + "]",
		withMarker("text", a) + " and more": "text and more [keyvault-passwords operation=" + b + "]",
		withMarker("x", a) + withMarker("", a) + "é\n": "xé\n [keyvault-passwords operation=" + b + "]",
		"[keyvault-passwords operation=]": "[keyvault-passwords operation=] [keyvault-passwords " +
			"operation=" + b + "]",
	} {
		got := withMarker(comment, b)
		if got != want || markerOf(got) != b {
			t.Errorf("withMarker(%q) = %q; want %q", comment, got, want)
		}
	}
	for comment, want := range map[string]string{
		"": "", "operation=" + a: "", "[keyvault-passwords operation=" + a: "", withMarker("x", a): a,
		"[keyvault-passwords operation=" + strings.Repeat("a", 65) + "]": "",
	} {
		if got := markerOf(comment); got != want {
			t.Errorf("markerOf(%q) = %q; want %q", comment, got, want)
		}
	}
	for text, want := range map[string]bool{a: true, "": false, "xyz": false, "A": false,
		strings.Repeat("a", 65): false} {
		if isOperation(text) != want {
			t.Errorf("isOperation(%q) = %t", text, !want)
		}
	}
}

// The name of a group is made of what two logins have in common.
func TestGroupOf(t *testing.T) {
	for logins, want := range map[string]string{
		"orders_a orders_b": "orders_owner", "blue green": "app_owner", "a' b'": "app_owner", "x'a x'b": "app_owner",
		"app_owner app_reader": "app_owner_owner", "app_a": "app_a_owner",
	} {
		if got := groupOf(strings.Fields(logins)); got != want {
			t.Errorf("groupOf(%s) = %s; want %s", logins, got, want)
		}
	}
}
