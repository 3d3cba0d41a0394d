package prose_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A logicApp is the definition of a Logic App, as far as the example uses the language: conditions, HTTP requests,
// a response, and the expressions below.
// https://learn.microsoft.com/azure/logic-apps/logic-apps-workflow-definition-language
type logicApp struct {
	Parameters map[string]struct{ Type string }
	Triggers   map[string]struct{ Type string }
	Actions    map[string]logicAction
}

type logicAction struct {
	Type       string
	RunAfter   map[string][]string
	Expression map[string]any
	Inputs     map[string]any
	Actions    map[string]logicAction
	Else       struct{ Actions map[string]logicAction }

	RuntimeConfiguration struct {
		SecureData struct{ Properties []string }
	}
}

// A logicRun is one run of a Logic App.
type logicRun struct {
	t          *testing.T
	parameters map[string]string
	body       any                                          // the trigger's
	send       func(inputs map[string]any) (int, any)       // what an HTTP request gets
	bodies     map[string]any                               // of HTTP answers
	status     int                                          // of the response. 0: none was given
	answer     any                                          // its body
	ended      map[string]string                            // how each action ended
	functions  map[string]func(arguments []any) (value any) // of expressions
}

func newLogicRun(t *testing.T, event string, parameters map[string]string) *logicRun {
	t.Helper()
	r := &logicRun{t: t, parameters: parameters, bodies: map[string]any{}, ended: map[string]string{}}
	if err := json.Unmarshal([]byte(event), &r.body); err != nil {
		t.Fatal(err)
	}
	r.functions = map[string]func(arguments []any) any{
		"triggerBody": func([]any) any { return r.body },
		"parameters":  func(a []any) any { return r.parameters[a[0].(string)] },
		"body":        func(a []any) any { return r.bodies[a[0].(string)] },
		"toLower":     func(a []any) any { return strings.ToLower(a[0].(string)) },
		"coalesce": func(a []any) any {
			if i := slices.IndexFunc(a, func(v any) bool { return v != nil }); i >= 0 {
				return a[i]
			}
			return nil
		},
	}
	return r
}

// runAll runs actions in their order. An action whose turn does not come is skipped.
func (r *logicRun) runAll(actions map[string]logicAction) {
	for left := len(actions); left > 0; {
		before := left
		for name, action := range actions {
			if _, done := r.ended[name]; done || !r.isNext(action) {
				continue
			}
			r.ended[name] = r.run(name, action)
			left--
		}
		if left == before {
			r.t.Fatalf("the order of the actions is a circle, or names one that is not there: %v", r.ended)
		}
	}
}

func (r *logicRun) isNext(action logicAction) bool {
	for name := range action.RunAfter {
		if _, done := r.ended[name]; !done {
			return false
		}
	}
	return true
}

func (r *logicRun) run(name string, action logicAction) string {
	for earlier, taken := range action.RunAfter {
		if !slices.Contains(taken, r.ended[earlier]) {
			return "Skipped"
		}
	}
	switch action.Type {
	case "If":
		if r.holds(action.Expression) {
			r.runAll(action.Actions)
		} else {
			r.runAll(action.Else.Actions)
		}
	case "Http":
		if len(action.RuntimeConfiguration.SecureData.Properties) != 2 {
			r.t.Errorf("the run's history shows what %s sends and gets", name)
		}
		status, body := r.send(r.value(action.Inputs).(map[string]any))
		r.bodies[name] = body
		if status >= 300 {
			return "Failed"
		}
	case "Response":
		r.status, r.answer = int(action.Inputs["statusCode"].(float64)), r.value(action.Inputs["body"])
	default:
		r.t.Fatalf("%s has the type %s", name, action.Type)
	}
	return "Succeeded"
}

func (r *logicRun) holds(expression map[string]any) bool {
	for operator, operands := range expression {
		for _, operand := range operands.([]any) {
			switch operator {
			case "and":
				if !r.holds(operand.(map[string]any)) {
					return false
				}
			case "equals":
				if r.value(operands.([]any)[0]) != r.value(operand) {
					return false
				}
			default:
				r.t.Fatalf("a condition with %s", operator)
			}
		}
	}
	return len(expression) > 0
}

var interpolated = regexp.MustCompile(`@\{([^}]*)\}`)

// value is a part of a definition with its expressions evaluated.
func (r *logicRun) value(part any) any {
	switch part := part.(type) {
	case map[string]any:
		evaluated := map[string]any{}
		for name, value := range part {
			evaluated[name] = r.value(value)
		}
		return evaluated
	case string:
		if !strings.Contains(part, "@{") && strings.HasPrefix(part, "@") {
			return r.evaluate(part[1:])
		}
		return interpolated.ReplaceAllStringFunc(part, func(found string) string {
			return fmt.Sprint(r.evaluate(found[2 : len(found)-1]))
		})
	}
	return part
}

func (r *logicRun) evaluate(text string) any {
	value, rest := r.term(text)
	if rest != "" {
		r.t.Fatalf("%q is left of the expression %q", rest, text)
	}
	return value
}

var called = regexp.MustCompile(`^(\w+)\(`)

// term evaluates a quoted text, a number, or a call with indexes behind it, and returns what follows.
func (r *logicRun) term(text string) (value any, rest string) {
	if quoted, ok := strings.CutPrefix(text, "'"); ok {
		inner, rest, ended := strings.Cut(quoted, "'")
		if !ended {
			r.t.Fatalf("%q has no end", text)
		}
		return inner, rest
	}
	if digits := regexp.MustCompile(`^\d+`).FindString(text); digits != "" {
		number, err := strconv.Atoi(digits)
		if err != nil {
			r.t.Fatal(err)
		}
		return number, text[len(digits):]
	}
	name := called.FindStringSubmatch(text)
	if name == nil || r.functions[name[1]] == nil {
		r.t.Fatalf("%q is no expression that is known here", text)
	}
	rest = text[len(name[0]):]
	var arguments []any
	for !strings.HasPrefix(rest, ")") {
		var argument any
		argument, rest = r.term(strings.TrimLeft(rest, ", "))
		arguments = append(arguments, argument)
	}
	value, rest = r.functions[name[1]](arguments), rest[1:]
	for strings.HasPrefix(rest, "?[") {
		var key any
		key, rest = r.term(rest[2:])
		rest = strings.TrimPrefix(rest, "]")
		value = index(value, key)
	}
	return value, rest
}

// index is value?[key]: null where there is no such member.
func index(value, key any) any {
	switch value := value.(type) {
	case map[string]any:
		return value[fmt.Sprint(key)]
	case []any:
		if i, ok := key.(int); ok && i < len(value) {
			return value[i]
		}
	}
	return nil
}

// sent is an HTTP request in one line.
func sent(t *testing.T, inputs map[string]any) string {
	t.Helper()
	body, err := json.Marshal(inputs["body"])
	if err != nil {
		t.Fatal(err)
	}
	headers, _ := inputs["headers"].(map[string]any)
	return fmt.Sprint(inputs["method"], " ", inputs["uri"], " ", headers["Authorization"], " ", string(body))
}

// The two ends of the Logic App's requests.
const (
	tokenURL    = "https://kv-tokens.vault.azure.net/secrets/github-dispatch-token"
	dispatchURL = "https://api.github.com/repos/OWNER/REPO/dispatches"
)

// keyVaultEvent is an event as Event Grid's documentation of Key Vault shows it.
// https://learn.microsoft.com/azure/event-grid/event-schema-key-vault
func keyVaultEvent(kind, vault, member string) string {
	return `[{"id": "00eccf70-95a7-4e7c-8299-2eb17ee9ad64",
		"topic": "/subscriptions/S/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/` + vault + `",
		"subject": "redis-password", "eventType": "Microsoft.KeyVault.` + kind + `",
		"eventTime": "2026-07-25T01:08:33.1036736Z",
		"data": {"Id": "https://` + vault + `.vault.azure.net/secrets/redis-password/ee059b2bb5bc48398a53b168c6cdcb10",
			"VaultName": "` + vault + `", "ObjectType": "Secret", "` + member + `": "redis-password",
			"Version": "ee059b2bb5bc48398a53b168c6cdcb10", "NBF": "1559081980", "EXP": "1559082102"},
		"dataVersion": "1", "metadataVersion": "1"}]`
}

// The Logic App proves its address to Event Grid, hands an event of its vault to GitHub, and has Event Grid send the
// event again where the token or GitHub cannot be had: without a response Azure answers 502.
func TestLogicApp(t *testing.T) {
	var app logicApp
	if err := json.Unmarshal([]byte(read(t, "examples/near-expiry/logic-app.json")), &app); err != nil {
		t.Fatal(err)
	}
	const (
		get  = "GET " + tokenURL + " <nil> null"
		post = "POST " + dispatchURL + ` Bearer ghp_TOKEN {"client_payload":{"name":"redis-password",` +
			`"vault":"kv-app-prod"},"event_type":"secret-near-expiry"}`
	)
	near := keyVaultEvent("SecretNearExpiry", "kv-app-prod", "ObjectName")
	for name, test := range map[string]struct {
		event         string
		token, github int // their status
		want          int // of the response. 0: none
		answer        string
		sent          []string
	}{
		"a subscription": {
			event: `[{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "topic": "", "subject": "",
				"data": {"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}}]`,
			want: 200, answer: `{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}`,
		},
		"near expiry": {event: near, token: 200, github: 204, want: 200, answer: "null", sent: []string{get, post}},
		"near expiry, the name in the subject alone": {
			event: keyVaultEvent("SecretNearExpiry", "kv-app-prod", "ObjectName "),
			token: 200, github: 204, want: 200, answer: "null", sent: []string{get, post},
		},
		"another kind": {event: keyVaultEvent("SecretExpired", "kv-app-prod", "ObjectName"), want: 400,
			answer: "null"},
		"another vault": {event: keyVaultEvent("SecretNearExpiry", "kv-other", "ObjectName"), want: 400,
			answer: "null"},
		"no token":        {event: near, token: 403, answer: "null", sent: []string{get}},
		"GitHub is away":  {event: near, token: 200, github: 502, answer: "null", sent: []string{get, post}},
		"GitHub says no":  {event: near, token: 200, github: 404, answer: "null", sent: []string{get, post}},
		"too many at one": {event: near, token: 429, answer: "null", sent: []string{get}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newLogicRun(t, test.event, map[string]string{
				"vaultId":     "/subscriptions/S/resourceGroups/RG/providers/Microsoft.KeyVault/vaults/kv-app-prod",
				"tokenUrl":    tokenURL,
				"dispatchUrl": dispatchURL,
			})
			var requests []string
			r.send = func(inputs map[string]any) (int, any) {
				requests = append(requests, sent(t, inputs))
				if inputs["method"] == http.MethodPost {
					return test.github, nil
				}
				return test.token, map[string]any{"value": "ghp_TOKEN"}
			}
			r.runAll(app.Actions)
			if !slices.Equal(requests, test.sent) {
				t.Errorf("sent %q, want %q", requests, test.sent)
			}
			answer, err := json.Marshal(r.answer)
			if err != nil || r.status != test.want || string(answer) != test.answer {
				t.Errorf("answered %d %s (%v), want %d %s", r.status, answer, err, test.want, test.answer)
			}
		})
	}
}

// Bicep and Terraform deploy this one definition, with a value for each of its parameters, and let Event Grid call its
// one trigger for one kind of event.
func TestLogicAppIsDeployed(t *testing.T) {
	var app logicApp
	if err := json.Unmarshal([]byte(read(t, "examples/near-expiry/logic-app.json")), &app); err != nil {
		t.Fatal(err)
	}
	if len(app.Parameters) == 0 || app.Triggers["event"].Type != "Request" || len(app.Actions) != 1 {
		t.Errorf("the definition has %d parameters, the triggers %v, %d actions; expected one trigger and one action",
			len(app.Parameters), app.Triggers, len(app.Actions))
	}
	if text := read(t, "examples/near-expiry/workflow.yml"); !strings.Contains(text,
		"\n    types: [secret-near-expiry]\n") {
		t.Error("the workflow does not wait for the type of event that TestLogicApp sees dispatched")
	}
	for file, texts := range map[string][]string{
		"examples/near-expiry/main.bicep": {"loadJsonContent('logic-app.json')",
			"listCallbackUrl('${app.id}/triggers/event'",
			"'${githubApi}/repos/${repository}/dispatches'", "scope: token\n",
			"'4633458b-17de-408a-b874-0445c86b69e6'"},
		"examples/near-expiry/main.tf": {`jsondecode(file("${path.module}/logic-app.json"))`,
			"azurerm_logic_app_trigger_http_request.event.callback_url",
			`"${var.github_api}/repos/${var.repository}/dispatches"`, `/secrets/${var.token_secret_name}"`,
			`"Key Vault Secrets User"`},
	} {
		code := withoutComments(read(t, file))
		for name := range app.Parameters {
			if !regexp.MustCompile(`(?m)^\s*` + name + `( +=|: \{)`).MatchString(code) {
				t.Errorf("%s gives the Logic App no %s", file, name)
			}
		}
		for _, text := range append(texts, "Microsoft.KeyVault.SecretNearExpiry", "EventGridSchema") {
			if !strings.Contains(code, text) {
				t.Errorf("%s lacks %q", file, text)
			}
		}
		if strings.Contains(code, "SecretExpired") {
			t.Errorf("%s subscribes to another kind of event than the Logic App takes", file)
		}
	}
}
