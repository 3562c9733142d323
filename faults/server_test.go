package faults

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/intertie/intertie/internal/process"
)

// How long a server may take before a test gives up on it. One whose disk hangs
// takes 20 s to be sure of that.
const (
	startLimit = 45 * time.Second
	stopLimit  = 45 * time.Second
)

// server is a data folder, the addresses on which it is always served, and the
// process that serves it, if any.
type server struct {
	dir    string
	listen string
	client *http.Client // nil before the first start: there is no authority to trust

	*process.Process
	log *process.Output // of the last start
}

// newServer prepares a server that is not started. One that runs when the test
// ends is killed.
func newServer(t *testing.T, dir string) *server {
	t.Helper()
	s := &server{dir: dir, listen: freeAddress(t)}
	t.Cleanup(func() {
		s.leave(t)
		if t.Failed() && s.log != nil {
			t.Logf("the server's log ends with:\n%s", process.Tail(s.log.String(), 3000))
		}
	})
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// launch runs the process and does not wait for it.
func (s *server) launch(t *testing.T) {
	t.Helper()
	cmd := process.Command(binary, "serve", "--data", s.dir, "--listen", s.listen, "--allow-private-webhooks",
		"--retry-schedule", "500ms", "--dead-letter-delay", "500ms")
	s.log = &process.Output{}
	cmd.Stderr = s.log
	p, err := process.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	s.Process = p
}

// start runs the process until it is ready, or has ended: then it returns false.
func (s *server) start(t *testing.T) bool {
	t.Helper()
	s.launch(t)
	if !cameTrue(t.Context(), startLimit, func() bool { return !s.Running() || s.ready() }) {
		t.Errorf("the server neither becomes ready nor ends")
		s.kill(t)
	}
	return s.Running()
}

// mustStart is for starts that nothing excuses from.
func (s *server) mustStart(t *testing.T) {
	t.Helper()
	if !s.start(t) {
		t.Fatalf("the server did not start:\n%s", s.log)
	}
}

func (s *server) ready() bool {
	if s.client == nil {
		if _, ok := process.Find(s.dir, s.PID()); !ok {
			return false
		}
		client, err := process.Client(s.dir)
		if err != nil {
			return false
		}
		s.client = client
	}
	return process.Ready(s.client, "https://"+s.listen)
}

// kill ends the process as a power cut would, as far as it is concerned.
func (s *server) kill(t *testing.T) {
	t.Helper()
	s.end(t, syscall.SIGKILL)
}

// leave kills the process if there is one.
func (s *server) leave(t *testing.T) {
	t.Helper()
	if s.Running() {
		s.kill(t)
	}
}

// end sends a signal and waits.
func (s *server) end(t *testing.T, with syscall.Signal) {
	t.Helper()
	if err := s.Signal(with); err != nil && s.Running() {
		t.Fatal(err)
	}
	s.await(t)
}

// await waits until the process has ended.
func (s *server) await(t *testing.T) {
	t.Helper()
	if !s.Wait(stopLimit) {
		t.Errorf("the server did not end")
	}
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	if log := s.log.String(); strings.Contains(log, "panic:") || strings.Contains(log, "fatal error:") {
		t.Errorf("the server's own fault:\n%s", log)
	}
}

// refusal is what a server that has ended gives for a reason. A last line of its log
// may come behind that.
func (s *server) refusal() (string, error) {
	for _, line := range slices.Backward(strings.Split(s.log.String(), "\n")) {
		if strings.HasPrefix(line, "intertie: ") && s.ExitCode() > 0 {
			return line, nil
		}
	}
	return "", errors.New("the server ended without a reason:\n" + s.log.String())
}

// file is the path of something in the data folder.
func (s *server) file(name ...string) string {
	return filepath.Join(append([]string{s.dir}, name...)...)
}
