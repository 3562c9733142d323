package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/intertie/intertie/armclient"
	"github.com/intertie/intertie/armclient/armfake"
)

// fakeServer is an Intertie of which only the deliveries are played: it looks
// into the event subscriptions that the demo has put, and posts at once.
type fakeServer struct {
	*armfake.Server
	dir     string
	failed  chan struct{}
	stopped bool

	// deliver says how often an event reaches its webhook; nil means once.
	deliver func(id string) int
	// misplace delivers each event to the wrong webhook.
	misplace bool
	// open lets everybody read everything.
	open bool

	calls sync.Map // of "single" and "batch"
}

func newFake(t *testing.T) *fakeServer {
	t.Helper()
	f := &fakeServer{Server: armfake.Start(t), failed: make(chan struct{})}
	f.Intercept = f.intercept
	return f
}

func (f *fakeServer) start(_ context.Context, dir string) (Server, error) {
	f.dir = dir
	return f, os.WriteFile(filepath.Join(dir, "admin.env"), nil, 0o600)
}

func (f *fakeServer) Admin() (armclient.Credentials, string) { return f.Credentials(), "sub-admin" }
func (f *fakeServer) Done() <-chan struct{}                  { return f.failed }
func (f *fakeServer) Err() error                             { return errors.New("disk on fire") }
func (f *fakeServer) Stop(context.Context) error             { f.stopped = true; return nil }

func (f *fakeServer) intercept(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/partnerTopics/"):
		if f.open {
			armfake.Answer(w, 200, map[string]any{})
		} else {
			armfake.Refuse(w, http.StatusForbidden, "AuthorizationFailed", "no")
		}
		return true
	case strings.HasSuffix(r.URL.Path, "/api/events"):
		body, _ := io.ReadAll(r.Body)
		f.calls.Store(r.Header.Get("Content-Type"), true)
		f.publish(r.Header.Get("aeg-channel-name"), r.Header.Get("Content-Type"), body)
		w.WriteHeader(http.StatusOK)
		return true
	}
	return false
}

func (f *fakeServer) publish(channel, contentType string, body []byte) {
	var events []json.RawMessage
	if contentType == "application/cloudevents-batch+json" {
		if err := json.Unmarshal(body, &events); err != nil {
			return
		}
	} else {
		events = append(events, body)
	}
	for _, c := range customers() {
		if channelOf(c) != channel {
			continue
		}
		for _, raw := range events {
			var e delivered
			if json.Unmarshal(raw, &e) != nil {
				continue
			}
			for _, box := range c.boxes {
				if box.wants(e.order()) == f.misplace {
					continue
				}
				times := 1
				if f.deliver != nil {
					times = f.deliver(e.ID)
				}
				for range times {
					f.post(c, box, raw)
				}
			}
		}
	}
}

// post finds the webhook by the source that the customer's channel declared.
func (f *fakeServer) post(c customer, box mailbox, event []byte) {
	var subscription string
	for _, id := range f.Resources("/channels/" + channelOf(c)) {
		info := f.Resource(id)["properties"].(map[string]any)["partnerTopicInfo"].(map[string]any)
		subscription = info["azureSubscriptionId"].(string)
	}
	for _, id := range f.Resources("/subscriptions/" + subscription + "/") {
		if !strings.HasSuffix(id, "/eventsubscriptions/"+box.name) {
			continue
		}
		destination := f.Resource(id)["properties"].(map[string]any)["destination"].(map[string]any)
		url := destination["properties"].(map[string]any)["endpointUrl"].(string)
		resp, err := http.Post(url, "application/cloudevents+json; charset=utf-8", bytes.NewReader(event))
		if err == nil {
			resp.Body.Close()
		}
	}
}

func (f *fakeServer) options(out io.Writer) Options {
	o := DefaultOptions()
	o.Events, o.Rate, o.Out, o.Start, o.Stall = 60, 0, out, f.start, 300*time.Millisecond
	return o
}

func TestEverythingArrives(t *testing.T) {
	f := newFake(t)
	var out bytes.Buffer
	o := f.options(&out)
	o.Rate = 1000
	res, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if res.Published != 60 || res.Delivered != 60 || !res.Complete() {
		t.Errorf("result %+v", res)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if last := lines[len(lines)-1]; last != "published=60 delivered=60 lost=0 duplicates=0" {
		t.Errorf("last line %q", last)
	}
	for _, line := range lines {
		if n := len([]rune(line)); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.Contains(line, "\x1b") {
			t.Errorf("colour in plain output: %q", line)
		}
	}
	for _, contentType := range []string{"application/cloudevents+json", "application/cloudevents-batch+json"} {
		if _, ok := f.calls.Load(contentType); !ok {
			t.Errorf("nothing was published as %s", contentType)
		}
	}
	if _, err := os.Stat(f.dir); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
	if !f.stopped {
		t.Error("the server was not stopped")
	}
}

func TestOutcomes(t *testing.T) {
	tests := []struct {
		name  string
		setup func(*fakeServer)
		line  string // regular expression for the last line
		err   string
	}{
		{
			name:  "an event is lost",
			setup: func(f *fakeServer) { f.deliver = func(id string) int { return b2i(id != "order-1010") } },
			line:  `^published=60 delivered=59 lost=1 duplicates=0$`, err: "1 of 60 deliveries did not arrive",
		},
		{
			name:  "an event comes twice",
			setup: func(f *fakeServer) { f.deliver = func(id string) int { return 1 + b2i(id == "order-1010") } },
			line:  `^published=60 delivered=60 lost=0 duplicates=1$`,
		},
		{
			name:  "events go to the wrong webhook",
			setup: func(f *fakeServer) { f.misplace = true },
			line:  `^published=60 delivered=0 lost=60 duplicates=0$`, err: "60 of 60 deliveries did not arrive",
		},
		{
			name:  "a customer can read another's topic",
			setup: func(f *fakeServer) { f.open = true },
			line:  `channel fabrikam-orders|fabrikam .*`, err: "fabrikam could read the partner topic of contoso",
		},
		{
			name:  "the server fails",
			setup: func(f *fakeServer) { close(f.failed) },
			line:  `starts Intertie`, err: "the server stopped: disk on fire",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			tt.setup(f)
			var out bytes.Buffer
			_, err := Run(t.Context(), f.options(&out))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if last := lines[len(lines)-1]; !regexp.MustCompile(tt.line).MatchString(last) {
				t.Errorf("last line %q, want %s", last, tt.line)
			}
			if _, err := os.Stat(f.dir); !os.IsNotExist(err) {
				t.Errorf("the temporary folder is still there: %v", err)
			}
		})
	}
}

func TestInterrupt(t *testing.T) {
	f := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	f.deliver = func(string) int { once.Do(cancel); return 1 }
	var out bytes.Buffer
	o := f.options(&out)
	o.Events, o.Rate = 100_000, 100
	_, err := Run(ctx, o)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(out.String(), "\npublished=") {
		t.Errorf("no count after an interrupt:\n%s", &out)
	}
	if _, err := os.Stat(f.dir); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
}

func TestColour(t *testing.T) {
	var out bytes.Buffer
	o := newFake(t).options(&out)
	o.Color = true
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\x1b[32mpublished=60 delivered=60 lost=0 duplicates=0\x1b[0m\n") {
		t.Errorf("no colour in\n%s", &out)
	}
}

func TestValidate(t *testing.T) {
	start := func(context.Context, string) (Server, error) { return nil, errors.New("unused") }
	for _, tt := range []struct {
		name string
		o    Options
		ok   bool
	}{
		{"good", Options{Events: 1, Rate: 1, Start: start}, true},
		{"no pause", Options{Events: 1, Start: start}, true},
		{"no events", Options{Rate: 1, Start: start}, false},
		{"negative rate", Options{Events: 1, Rate: -1, Start: start}, false},
		{"no server", Options{Events: 1, Rate: 1}, false},
	} {
		if err := tt.o.Validate(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
