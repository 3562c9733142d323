package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/intertie/intertie/event"
)

// The baselines, by path.
const (
	pathRead    = "/read"    // reads the body
	pathParse   = "/parse"   // reads the body and parses its events
	pathForward = "/forward" // reads the body and posts it on
	pathBatch   = "/batch"   // reads the body, parses its events and posts them on as one batch
)

// BaselineOptions configures [RunBaseline].
type BaselineOptions struct {
	// Addr is what to listen on, a loopback address; port 0 picks a free one.
	Addr string
	// Forward is the URL that /forward and /batch post to.
	Forward string
	// Out receives one line when the server is ready: a JSON object with
	// "http", the base URL, and "pid".
	Out io.Writer
}

// ready is the line that RunBaseline writes, and the file that `intertie serve`
// leaves in its data folder.
type ready struct {
	URL  string `json:"url,omitempty"` // HTTPS
	HTTP string `json:"http"`
	PID  int    `json:"pid"`
}

// RunBaseline serves the plain programs that Intertie is compared with, until
// ctx ends: one that reads a body, one that parses it too, one that forwards
// it. They are written as one would write them without thinking of storage,
// authorization or failure.
func RunBaseline(ctx context.Context, o BaselineOptions) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return fmt.Errorf("open the baseline: %w", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 4 * connections, DisableCompression: true}
	defer transport.CloseIdleConnections()
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pathRead, serveRead)
	mux.HandleFunc("POST "+pathParse, serveParse)
	c := &http.Client{Transport: transport}
	mux.HandleFunc("POST "+pathForward, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		forward(w, r, c, o.Forward, body)
	})
	mux.HandleFunc("POST "+pathBatch, func(w http.ResponseWriter, r *http.Request) {
		events, err := parse(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		forward(w, r, c, o.Forward, array(events))
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	err = json.NewEncoder(o.Out).Encode(ready{HTTP: "http://" + ln.Addr().String(), PID: os.Getpid()})
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-served:
			served <- nil
		}
	}
	err = errors.Join(err, srv.Close())
	if e := <-served; e != nil && !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("serve the baseline: %w", err)
	}
	return nil
}

func serveRead(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
}

func serveParse(w http.ResponseWriter, r *http.Request) {
	if _, err := parse(r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func parse(r *http.Request) ([]event.Event, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return event.Parse(event.Request{
		ContentType: r.Header.Get("Content-Type"), Header: r.Header,
		Body: body, Limits: event.DefaultLimits(),
	})
}

// array writes events as one JSON array.
func array(events []event.Event) []byte {
	size := 2
	for i := range events {
		size += len(events[i].JSON) + 1
	}
	body := append(make([]byte, 0, size), '[')
	for i := range events {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, events[i].JSON...)
	}
	return append(body, ']')
}

func forward(w http.ResponseWriter, r *http.Request, c *http.Client, to string, body []byte) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	req.Header.Set("Content-Type", r.Header.Get("Content-Type"))
	resp, err := c.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(resp.StatusCode)
}
