package sensitive_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"text/template"

	"keyvault-passwords/internal/sensitive"
)

const canary = "Canary-7f3a.Tweet~"

// Every struct that may come to hold a value: bare, nested, behind pointers, in maps, in unexported fields.
type (
	exported   struct{ V sensitive.Value }
	unexported struct{ v sensitive.Value }
	pointer    struct{ v *sensitive.Value }
	deep       struct {
		list []unexported
		m    map[string]sensitive.Value
		any  any
	}
)

// printings is every way a value could be printed, by name.
func printings(v sensitive.Value) map[string]string {
	forms := map[string]any{
		"bare": v, "pointer to it": &v, "exported": exported{v}, "unexported": unexported{v}, "pointer": pointer{&v},
		"deep":  deep{[]unexported{{v}}, map[string]sensitive.Value{"k": v}, v},
		"slice": []sensitive.Value{v}, "map": map[string]sensitive.Value{"k": v}, "array": [1]unexported{{v}},
		"derived": unexported{sensitive.Derive(func(parts [][]byte) []byte { return slices.Concat(parts...) }, v)},
	}
	texts := map[string]string{}
	for name, form := range forms {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%e",
			"%t", "%p", "%T", "%10.3s", "% x"} {
			texts[name+" "+verb] = fmt.Sprintf(verb, form)
		}
		texts[name+" json"] = encoded(json.Marshal(form))
		texts[name+" xml"] = encoded(xml.Marshal(form))
		var text, js, std bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("m", "value", form)
		slog.New(slog.NewJSONHandler(&js, nil)).Info("m", "value", form)
		log.New(&std, "", 0).Print(form)
		texts[name+" slog text"], texts[name+" slog json"], texts[name+" log"] = text.String(), js.String(),
			std.String()
		texts[name+" error"] = fmt.Errorf("wrapping: %w, %v", errors.Join(errors.New("x"), fmt.Errorf("%v", form)),
			form).Error()
		var tmpl, g bytes.Buffer
		_ = template.Must(template.New("").Parse("{{.}} {{printf `%s` .}}")).Execute(&tmpl, form)
		_ = gob.NewEncoder(&g).Encode(form)
		texts[name+" template"], texts[name+" gob"] = tmpl.String(), g.String()
	}
	return texts
}

func encoded(b []byte, err error) string { return fmt.Sprint(string(b), err) }

// leaks reports whether text holds the canary, in clear or encoded as a verb or an encoder would.
func leaks(text string) bool {
	var decimal []string
	for _, b := range []byte(canary) {
		decimal = append(decimal, fmt.Sprint(b))
	}
	for _, form := range []string{canary, canary[3:9], hex.EncodeToString([]byte(canary)),
		strings.ToUpper(hex.EncodeToString([]byte(canary))),
		base64.StdEncoding.EncodeToString([]byte(canary))[:20], strings.Join(decimal, " "), fmt.Sprintf("% x", canary),
		fmt.Sprintf("%#v", []byte(canary))[8:60]} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

func TestNoVerbEncoderOrLoggerPrintsAValue(t *testing.T) {
	for how, text := range printings(sensitive.New([]byte(canary))) {
		if leaks(text) {
			t.Errorf("%s prints the value", how)
		}
	}
}

// naive is what the type must not become: its methods hide it, but not where fmt cannot call them.
type naive struct{ b []byte }

func (naive) String() string   { return "[redacted]" }
func (naive) GoString() string { return "[redacted]" }

// The test above must be able to fail: a struct of bytes with the same methods leaks from an unexported field.
func TestTheCheckSeesALeak(t *testing.T) {
	var leaky any = struct{ v naive }{naive{[]byte(canary)}}
	if text := fmt.Sprintf("%s %v", leaky, leaky); !leaks(text) {
		t.Fatalf("the check does not see the canary in %q", text)
	}
}

func TestPrintedFormIsReadable(t *testing.T) {
	v := sensitive.New([]byte(canary))
	for _, text := range []string{v.String(), fmt.Sprint(v), fmt.Sprintf("%q", v), fmt.Sprintf("%x", &v)} {
		if text != "[redacted]" {
			t.Errorf("a value prints as %q; want [redacted]", text)
		}
	}
	if text := encoded(json.Marshal(exported{v})); text != `{"V":"[redacted]"}<nil>` {
		t.Errorf("a value encodes as %s", text)
	}
}

func TestRevealAndDerive(t *testing.T) {
	v := sensitive.New([]byte(canary))
	if v.Reveal() != canary {
		t.Error("Reveal does not return the bytes")
	}
	if (sensitive.Value{}).Reveal() != "" {
		t.Error("the zero value is not empty")
	}
	calls := 0
	joined := sensitive.Derive(func(parts [][]byte) []byte { calls++; return bytes.Join(parts, []byte("+")) }, v, v)
	if calls != 0 {
		t.Error("Derive computes before it is revealed")
	}
	if joined.Reveal() != canary+"+"+canary || calls != 1 {
		t.Error("Derive does not compute what its function returns")
	}
	sensitive.Inspect(joined, func(b []byte) {
		if string(b) != canary+"+"+canary {
			t.Error("Inspect does not show the bytes")
		}
	})
}
