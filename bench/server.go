package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// server is one Intertie on a data folder of its own. It can be stopped and
// started again. Used by one goroutine.
type server struct {
	o    Options
	data string
	proc *child // nil while it does not run
	at   ready
	took time.Duration // the last start
}

// start runs the server and returns when it is ready, within the given time.
func (s *server) start(ctx context.Context, within time.Duration) error {
	// What a killed process left would be taken for an answer.
	if err := os.Remove(filepath.Join(s.data, runFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove what an earlier start left: %w", err)
	}
	began := time.Now()
	proc, at, err := startServer(ctx, s.o, s.data, within)
	if err != nil {
		return err
	}
	s.proc, s.at, s.took = proc, at, time.Since(began)
	return nil
}

// stop asks the server to end and returns when it has.
func (s *server) stop() {
	if s.proc != nil {
		s.proc.stop()
		s.proc = nil
	}
}

// kill ends the server as a crash would.
func (s *server) kill() {
	_ = s.proc.cmd.Process.Kill() // fails when it has ended already
	<-s.proc.done
	s.proc = nil
}

// asSide is the server to compare with another, or to ask what went wrong.
func (s *server) asSide(name string) *side { return &side{name: name, proc: s.proc, server: s} }

// target is what setting the server up needs.
func (s *server) target() Target {
	return Target{
		BaseURL: s.at.URL, HTTPURL: s.at.HTTP,
		CAFile: filepath.Join(s.data, "ca.pem"), AdminEnvFile: filepath.Join(s.data, "admin.env"),
	}
}

// here returns e as it is since the server was started again: on another port.
func (s *server) here(e Endpoint) (Endpoint, error) {
	was, err := url.Parse(e.URL)
	if err != nil {
		return e, fmt.Errorf("parse the address to send to: %w", err)
	}
	now, err := url.Parse(s.at.HTTP)
	if err != nil {
		return e, fmt.Errorf("parse the address of the server: %w", err)
	}
	was.Host = now.Host
	e.URL = was.String()
	return e, nil
}
