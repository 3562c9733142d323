package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/intertie/intertie/telemetry"
)

func TestNewLogger(t *testing.T) {
	level := new(slog.LevelVar)
	tests := []struct {
		name     string
		o        telemetry.LogOptions
		wantJSON bool
		debug    bool
	}{
		{name: "zero value", wantJSON: true},
		{name: "auto", o: telemetry.LogOptions{Format: telemetry.Auto}, wantJSON: true},
		{name: "json", o: telemetry.LogOptions{Format: telemetry.JSON}, wantJSON: true},
		{name: "text", o: telemetry.LogOptions{Format: telemetry.Text}},
		{name: "debug", o: telemetry.LogOptions{Format: telemetry.JSON, Level: slog.LevelDebug}, wantJSON: true, debug: true},
		{name: "level variable", o: telemetry.LogOptions{Format: telemetry.JSON, Level: level}, wantJSON: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var buf bytes.Buffer
			l := telemetry.NewLogger(&buf, tt.o)
			l.Debug("quiet")
			if got := buf.Len() > 0; got != tt.debug {
				t.Errorf("debug written: %v, want %v", got, tt.debug)
			}
			buf.Reset()
			l.Info("hello", "n", 7)
			var rec struct {
				Msg string `json:"msg"`
				N   int    `json:"n"`
			}
			err := json.Unmarshal(buf.Bytes(), &rec)
			if (err == nil) != tt.wantJSON {
				t.Fatalf("wrote %q, want JSON: %v", buf.String(), tt.wantJSON)
			}
			if tt.wantJSON && (rec.Msg != "hello" || rec.N != 7) {
				t.Errorf("wrote %q", buf.String())
			}
			if !tt.wantJSON && !strings.Contains(buf.String(), "msg=hello n=7") {
				t.Errorf("wrote %q", buf.String())
			}
		})
	}

	var buf bytes.Buffer
	l := telemetry.NewLogger(&buf, telemetry.LogOptions{Level: level})
	l.Debug("no")
	level.Set(slog.LevelDebug)
	l.Debug("yes")
	if got := buf.String(); strings.Contains(got, `"no"`) || !strings.Contains(got, `"yes"`) {
		t.Errorf("after the level changed: %q", got)
	}
}

// TestFileIsNoTerminal: a log that is redirected to a file is for machines.
func TestFileIsNoTerminal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	telemetry.NewLogger(f, telemetry.LogOptions{}).Info("hello")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b) {
		t.Errorf("wrote %q", b)
	}
}

// TestTerminal uses the one character device that every system has.
func TestTerminal(t *testing.T) {
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := telemetry.NewLogger(f, telemetry.LogOptions{}).Handler()
	if _, ok := h.(*slog.TextHandler); !ok {
		t.Errorf("a character device got %T", h)
	}
	h = telemetry.NewLogger(f, telemetry.LogOptions{Format: telemetry.JSON}).Handler()
	if _, ok := h.(*slog.JSONHandler); !ok {
		t.Errorf("a character device with format json got %T", h)
	}
}

type broken struct{ desc *prometheus.Desc }

func (b broken) Describe(ch chan<- *prometheus.Desc) { ch <- b.desc }
func (b broken) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(b.desc, errors.New("the collector broke"))
}

func TestHandler(t *testing.T) {
	var logged bytes.Buffer
	log := telemetry.NewLogger(&logged, telemetry.LogOptions{})
	reg := telemetry.NewRegistry("1.2.3")
	h := telemetry.Handler(reg, log)

	scrape := func() string {
		t.Helper()
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if rec.Code != http.StatusOK {
			t.Fatalf("status %d: %s", rec.Code, rec.Body)
		}
		return rec.Body.String()
	}
	body := scrape()
	for _, want := range []string{`intertie_build_info{goversion="go`, `version="1.2.3"} 1`, "go_goroutines "} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in the answer", want)
		}
	}
	if logged.Len() > 0 {
		t.Errorf("logged %s", logged.String())
	}

	reg.MustRegister(broken{prometheus.NewDesc("broken", "Fails.", nil, nil)})
	if body := scrape(); !strings.Contains(body, "go_goroutines ") {
		t.Error("one broken collector hides the others")
	}
	if !strings.Contains(logged.String(), "the collector broke") {
		t.Errorf("the broken collector was not logged: %q", logged.String())
	}
}

func TestRegistriesAreIndependent(t *testing.T) {
	a, b := telemetry.NewRegistry("a"), telemetry.NewRegistry("b")
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "x_total", Help: "Counts."})
	a.MustRegister(c)
	b.MustRegister(c) // panics if they share state
}
