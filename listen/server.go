package listen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxBody bounds a request body: the largest event, and room for a batch.
const maxBody = 2 << 20

// Server receives events over HTTP. The zero value answers 200 and prints
// nothing. The fields must not change once it serves.
type Server struct {
	// Addr is where Run listens, for instance "127.0.0.1:9000"; port 0 takes a
	// free one.
	Addr string
	// Out receives what is printed, one Write per request; nil prints nothing.
	Out io.Writer
	// Fail is the status to answer events with, 0 for 200. Handshakes are
	// granted all the same, since without them no event would ever come.
	Fail int
	// Delay is how long an answer to events is held back. It ends early when
	// the sender gives up or the server stops.
	Delay time.Duration
	// OnEvent, if set, is called for each event before it is answered, from the
	// goroutine of its request: several at a time.
	OnEvent func(Event)
	// Started, if set, is called once by Run when it listens.
	Started func(net.Addr)
	// Now is the clock for printed times; nil is [time.Now].
	Now func() time.Time

	mu sync.Mutex // serializes writes to Out
}

// Run listens until ctx ends, then lets the requests under way finish and
// returns nil. A request that is being delayed is answered at once.
func (s *Server) Run(ctx context.Context) error {
	if s.Fail != 0 && (s.Fail < 200 || s.Fail > 599) {
		return fmt.Errorf("listen: the status to fail with must be from 200 to 599, not %d", s.Fail)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Close or Shutdown below
	if s.Started != nil {
		s.Started(l.Addr())
	}
	select {
	case err := <-served:
		return fmt.Errorf("listen: %w", errors.Join(err, srv.Close()))
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) { // somebody never finished sending
		err = srv.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(ended, err)
	}
	if err != nil {
		return fmt.Errorf("listen: stop: %w", err)
	}
	return nil
}

// ServeHTTP implements [http.Handler]; every path is an endpoint.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodOptions:
		s.consent(w, r)
	case http.MethodPost:
		s.receive(w, r)
	default:
		w.Header().Set("Allow", "POST, OPTIONS")
		http.Error(w, "send events with POST", http.StatusMethodNotAllowed)
	}
}

// consent answers the CloudEvents handshake.
func (s *Server) consent(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Allow", "POST, OPTIONS")
	origin := r.Header.Get("WebHook-Request-Origin")
	if origin != "" {
		h.Set("WebHook-Allowed-Origin", origin)
		h.Set("WebHook-Allowed-Rate", "*")
		s.print("handshake from "+origin, "granted")
	}
	w.WriteHeader(http.StatusOK)
}

// receive answers a POST: a validation event with its code, all others with
// the status that is wanted.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status := http.StatusBadRequest
		if tooBig := new(http.MaxBytesError); errors.As(err, &tooBig) {
			status = http.StatusRequestEntityTooLarge
		}
		s.print("a body that could not be read", answered(status))
		http.Error(w, "the body could not be read", status)
		return
	}
	events, err := decode(r.Header, body)
	if err != nil {
		s.print("not an event: "+err.Error(), answered(http.StatusBadRequest), excerpt(body))
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	}
	if code, ok := validationCode(events); ok {
		s.print("validation event", "granted")
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(validationResponse(code))
		return
	}
	if !wait(r.Context(), s.Delay) {
		s.print("the sender gave up, or this receiver stops", answered(http.StatusServiceUnavailable))
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	status := http.StatusOK
	if s.Fail != 0 {
		status = s.Fail
	}
	for i := range events {
		events[i].Status = status
		if s.OnEvent != nil {
			s.OnEvent(events[i])
		}
	}
	s.printEvents(events)
	w.WriteHeader(status)
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
