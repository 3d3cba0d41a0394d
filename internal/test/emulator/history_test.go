package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"keyvault-passwords/internal/test/emulator"
)

// TestAnyHistory: after any sequence of operations, the lists tell what the vault holds, each version once, in order,
// page by page; a name is live, deleted, or neither while that changes; and a value is told by set and get alone.
func TestAnyHistory(t *testing.T) {
	const canary = "cAnArY-7f3e"
	base := "https://kv-example.vault.azure.net/"
	rapid.Check(t, func(r *rapid.T) {
		d := direct{emulator.New(emulator.Options{Creates: -1, Seed: rapid.Uint64Min(1).Draw(r, "seed")}), t}
		d.Grant("", "", emulator.GetSecret, emulator.Update, emulator.Delete, emulator.Recover)
		token := d.token(emulator.DefaultTenant, emulator.DefaultClient)
		names := []string{"a", "b", "C"}
		for range rapid.IntRange(1, 30).Draw(r, "operations") {
			name := rapid.SampledFrom(names).Draw(r, "name")
			if rapid.Bool().Draw(r, "capitals") {
				name = strings.ToUpper(name)
			}
			operation := rapid.SampledFrom([]string{
				"PUT secrets/%s", "PUT secrets/%s", "PUT secrets/%s", "GET secrets/%s", "PATCH secrets/%s",
				"DELETE secrets/%s",
				"POST deletedsecrets/%s/recover", "wait", "GET secrets/%s/versions",
			}).Draw(r, "operation")
			if operation == "wait" {
				d.Advance(400 * time.Millisecond) // two of them outlast a deletion or a recovery
				continue
			}
			method, path, _ := strings.Cut(fmt.Sprintf(operation, name), " ")
			v := d.do(method, base+path+"?api-version=7.4", token,
				`{"value":"`+canary+`","attributes":{"enabled":true}}`)
			if v.status >= http.StatusInternalServerError {
				r.Fatalf("%s %s answers %d", method, path, v.status)
			}
			reads := v.status == http.StatusOK && (method == http.MethodPut || method == http.MethodGet &&
				path == "secrets/"+name)
			if told := strings.Contains(v.body, canary); told != reads {
				r.Fatalf("%s %s answers %d and tells a value: %v", method, path, v.status, told)
			}
		}
		d.Advance(time.Second)
		d.compare(r, base, token)
	})
}

// compare lists everything and compares it with what the vault holds, when nothing is under way.
func (d direct) compare(r *rapid.T, base, token string) {
	want := map[string][]string{"live": nil, "deleted": nil, "versions": nil}
	for _, held := range d.Holds() {
		id := base + "secrets/" + held.Name
		switch {
		case held.Current && held.Deleted:
			want["deleted"] = append(want["deleted"], id)
		case held.Current:
			want["live"] = append(want["live"], id)
		}
		if !held.Deleted {
			want["versions"] = append(want["versions"], id+"/"+held.Version)
		}
	}
	slices.Sort(want["versions"])
	got := map[string][]string{
		"live": d.walk(r, base+"secrets", token), "deleted": d.walk(r, base+"deletedsecrets", token), "versions": nil,
	}
	for _, name := range []string{"A", "b", "c"} { // in the order of the others, whichever way they are spelt
		got["versions"] = append(got["versions"], d.walk(r, base+"secrets/"+name+"/versions", token)...)
	}
	slices.SortStableFunc(got["versions"], func(a, b string) int {
		return strings.Compare(a[:strings.LastIndex(a, "/")], b[:strings.LastIndex(b, "/")])
	})
	if diff := cmp.Diff(want, got); diff != "" {
		r.Fatalf("the lists tell otherwise than the vault holds (-holds +lists):\n%s", diff)
	}
}

// walk follows a list to its end, in pages of a drawn size, and returns the IDs.
func (d direct) walk(r *rapid.T, url, token string) (ids []string) {
	next := fmt.Sprintf("%s?api-version=7.4&maxresults=%d", url, rapid.IntRange(1, 25).Draw(r, "page size"))
	for next != "" {
		var page struct {
			Value    []struct{ ID string }
			NextLink string
		}
		if err := json.Unmarshal([]byte(d.do(http.MethodGet, next, token, "").body), &page); err != nil {
			r.Fatal(err)
		}
		for _, item := range page.Value {
			ids = append(ids, item.ID)
		}
		next = page.NextLink
	}
	return ids
}
