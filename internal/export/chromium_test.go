package export_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/export"
)

// A browser is a headless Chromium, told what to do through two pipes:
// https://chromedevtools.github.io/devtools-protocol/
type browser struct {
	t       *testing.T
	out     io.Writer
	in      *bufio.Reader
	session string
	id      int
	events  []event
}

type event struct {
	Method string
	Params json.RawMessage
}

// chromium is the browser of this machine. CHROMIUM names another; where there is none the test is skipped, unless
// CHROMIUM says that it is required.
func chromium(t *testing.T) string {
	t.Helper()
	named := os.Getenv("CHROMIUM")
	for _, name := range []string{named, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if named != "" {
		t.Fatalf("CHROMIUM is %q, and there is no Chromium", named)
	}
	t.Skip("there is no Chromium; install the package chromium")
	return ""
}

// browse starts a browser with one empty page. It ends with the test.
func browse(t *testing.T) *browser {
	t.Helper()
	toRead, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in, toWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, chromium(t), "--headless=new", "--remote-debugging-pipe", "--no-sandbox",
		"--no-first-run", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
		"--hide-scrollbars", "--user-data-dir="+t.TempDir())
	command.ExtraFiles = []*os.File{toRead, toWrite} // 3 and 4
	command.WaitDelay = 10 * time.Second             // its children hold the pipes for a moment
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	toRead.Close()
	toWrite.Close()
	b := &browser{t: t, out: out, in: bufio.NewReader(in)}
	t.Cleanup(func() {
		_, _ = b.send("", "Browser.close", nil)
		_ = command.Wait()
		stop()
		out.Close()
		in.Close()
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// send sends one message and returns its number.
func (b *browser) send(session, method string, params any) (int, error) {
	b.id++
	message := map[string]any{"id": b.id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if session != "" {
		message["sessionId"] = session
	}
	text, err := json.Marshal(message)
	if err == nil {
		_, err = b.out.Write(append(text, 0))
	}
	return b.id, err
}

// call sends one message and waits for its answer. Events that come before it are kept.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	id, err := b.send(b.session, method, params)
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		answer := b.next()
		if answer.ID != id {
			continue
		}
		if answer.Error != nil {
			b.t.Fatalf("%s: %s", method, answer.Error)
		}
		if result != nil {
			if err := json.Unmarshal(answer.Result, result); err != nil {
				b.t.Fatalf("%s: %v in %.200s", method, err, answer.Result)
			}
		}
		return
	}
}

type message struct {
	ID            int
	Result, Error json.RawMessage
	event
}

// next returns the next message, and keeps it if it is an event.
func (b *browser) next() (m message) {
	b.t.Helper()
	text, err := b.in.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("the browser has ended: %v", err)
	}
	if err := json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m); err != nil {
		b.t.Fatalf("%v in %.200s", err, text)
	}
	if m.Method != "" {
		b.events = append(b.events, m.event)
	}
	return m
}

// open loads a page in a window of that width, and returns what the browser told meanwhile.
func (b *browser) open(path string, width int, scheme string) {
	b.t.Helper()
	b.resize(width)
	b.call("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]any{{"name": "prefers-color-scheme", "value": scheme}},
	}, nil)
	b.events = nil
	b.call("Page.navigate", map[string]any{"url": "file://" + path}, nil)
	for !b.has("Page.loadEventFired") {
		b.next()
	}
}

// resize makes the window as wide as that.
func (b *browser) resize(width int) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false,
	}, nil)
}

// fits checks that the page is as wide as its window.
func (b *browser) fits(t *testing.T, what string, width int) {
	t.Helper()
	var got int
	b.value("document.documentElement.scrollWidth", &got)
	if got != width {
		t.Errorf("%s, the page is %d wide in a window of %d", what, got, width)
	}
}

func (b *browser) has(method string) bool { return len(b.paramsOf(method)) > 0 }

func (b *browser) paramsOf(method string) (list []string) {
	for _, e := range b.events {
		if e.Method == method {
			list = append(list, string(e.Params))
		}
	}
	return list
}

// value returns what an expression is in the page. A nil result: nothing.
func (b *browser) value(expression string, result any) {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, answer.ExceptionDetails)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

// longest returns a report whose names are as long as Key Vault and the runner allow, without a place to break them at.
func longest() *audit.Report {
	r := hostile(strings.Repeat("w", 127))
	r.File = strings.Repeat("d", 120) + "/" + strings.Repeat("f", 120) + ".yml"
	for i := range r.Findings {
		r.Findings[i].Place.File = r.File
	}
	return r
}

// pages are the reports that are looked at.
func pages() map[string]*audit.Report {
	reports := map[string]*audit.Report{
		"none": {Taken: taken}, "3 secrets": sample(3), "300 secrets": incomplete(300), "5000 secrets": sample(5000),
		"longest names": longest(),
	}
	for i, text := range hostileTexts {
		reports[fmt.Sprint("hostile ", i)] = hostile(text)
	}
	return reports
}

// In a browser, the page asks for nothing but itself, runs no script, and is as wide as its window on a phone and on a
// desk, folded and unfolded, and on paper.
func TestHTMLInChromium(t *testing.T) {
	b := browse(t)
	for name, r := range pages() {
		path := filepath.Join(t.TempDir(), "report.html")
		if err := os.WriteFile(path, written(t, export.HTML, r), 0o600); err != nil {
			t.Fatal(err)
		}
		schemes, widths := []string{"light", "dark"}, []int{360, 1280}
		if strings.HasPrefix(name, "hostile") {
			schemes, widths = schemes[:1], widths[:1]
		}
		for _, width := range widths {
			for _, scheme := range schemes {
				t.Run(fmt.Sprint(name, " at ", width, " ", scheme), func(t *testing.T) {
					b.look(t, path, width, scheme, len(r.Secrets) < 1000)
				})
			}
		}
	}
}

// paper is how wide a page of paper is: A4 without its margins, in pixels of CSS.
const paper = 700

func (b *browser) look(t *testing.T, path string, width int, scheme string, small bool) {
	b.t = t
	b.open(path, width, scheme)
	var title string
	b.value("document.title", &title)
	if !strings.HasPrefix(title, "Key Vault audit of ") {
		t.Errorf("the title is %q: a script ran", title)
	}
	var back string
	b.value("getComputedStyle(document.body).backgroundColor", &back)
	if want := map[string]string{"light": "rgb(244, 245, 243)", "dark": "rgb(17, 22, 26)"}[scheme]; back != want {
		t.Errorf("the background is %s; want %s: the style sheet counts, in each scheme", back, want)
	}
	b.fits(t, "folded", width)
	if small {
		b.value("document.querySelectorAll('details').forEach(d => d.open = true)", nil)
		b.fits(t, "unfolded", width)
		b.call("Emulation.setEmulatedMedia", map[string]any{"media": "print"}, nil)
		b.resize(paper)
		b.fits(t, "printed", paper)
	}
	if requests := b.paramsOf("Network.requestWillBeSent"); len(requests) != 1 {
		t.Errorf("%d requests; want one, of the page itself: %.600v", len(requests), requests)
	}
	for _, method := range []string{"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"} {
		if told := b.paramsOf(method); told != nil {
			t.Errorf("%s: %.600v", method, told)
		}
	}
}
