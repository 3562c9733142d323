package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/intertie/intertie/armclient"
	"github.com/intertie/intertie/internal/process"
)

// How long a server may take before a test gives up on it. A slow machine under
// the race detector stays well below.
const (
	startLimit = 30 * time.Second
	stopLimit  = 45 * time.Second
)

// server is one data folder and the process that serves it, if any.
type server struct {
	dir    string
	listen string // the same address after a restart
	args   []string
	env    []string // beside that of the tests
	url    string
	http   *http.Client

	process *process.Process
	stderr  *output
}

// output collects what a process writes.
type output = process.Output

// serve starts a server with a new data folder. It delivers to loopback.
func serve(t *testing.T, args ...string) *server {
	t.Helper()
	s := newServer(t, append([]string{"--allow-private-webhooks"}, args...)...)
	s.start(t)
	return s
}

// newServer prepares a server that is not started. When the test ends, a
// running one is stopped, and must stop well.
func newServer(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{dir: filepath.Join(t.TempDir(), "data"), listen: "127.0.0.1:0", args: args, stderr: &output{}}
	t.Cleanup(func() {
		if s.running() {
			s.stop(t)
		}
		if log := s.stderr.String(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic:") {
			t.Errorf("the server's own fault:\n%s", log)
		} else if t.Failed() {
			t.Logf("the server's log ends with:\n%s", tail(log, 4000))
		}
	})
	return s
}

func tail(s string, n int) string { return process.Tail(s, n) }

// start runs the server and returns how long it took until it was ready.
func (s *server) start(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	s.launch(t)
	if !cameTrue(context.Background(), startLimit, func() bool { return !s.running() || s.ready() }) || !s.running() {
		t.Fatalf("the server did not become ready:\n%s", s.stderr)
	}
	took := time.Since(began)
	s.listen = strings.TrimPrefix(s.url, "https://")
	return took
}

// launch runs the process and does not wait.
func (s *server) launch(t *testing.T) {
	t.Helper()
	cmd := process.Command(binary, s.flags()...)
	cmd.Env = append(cmd.Env, s.env...)
	cmd.Stderr = s.stderr
	p, err := process.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	s.process = p
}

func (s *server) flags() []string {
	return append([]string{"serve", "--data", s.dir, "--listen", s.listen}, s.args...)
}

func (s *server) running() bool { return s.process.Running() }

// ready finds the server as scripts do: run.json names it, /readyz answers 200.
func (s *server) ready() bool {
	url, ok := process.Find(s.dir, s.process.PID())
	if !ok {
		return false
	}
	if s.http == nil {
		client, err := process.Client(s.dir)
		if err != nil {
			return false
		}
		s.http = client
	}
	s.url = url
	return process.Ready(s.http, url)
}

// stop asks the server to end, which must succeed.
func (s *server) stop(t *testing.T) time.Duration {
	t.Helper()
	s.http.CloseIdleConnections() // net/http gives those of HTTP/2 a second to end
	began := time.Now()
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	if code := s.process.ExitCode(); code != 0 {
		t.Errorf("the server exited with %d after SIGTERM:\n%s", code, tail(s.stderr.String(), 4000))
	}
	return time.Since(began)
}

// kill ends the server as a power cut would, as far as it is concerned.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	s.http.CloseIdleConnections()
}

func (s *server) wait(t *testing.T) {
	t.Helper()
	if !s.process.Wait(stopLimit) {
		t.Errorf("the server did not end within %s:\n%s", stopLimit, tail(s.stderr.String(), 4000))
	}
}

// refuse starts a server that cannot start. It returns its exit code and what
// it said, which must be one line.
func (s *server) refuse(t *testing.T) (int, string) {
	t.Helper()
	cmd := process.Command(binary, s.flags()...)
	var said output
	cmd.Stderr = &said
	p, err := process.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Wait(startLimit) || p.ExitCode() == 0 {
		t.Fatalf("the server ran although it should not:\n%s", said.String())
	}
	line := said.String()
	if first, rest, _ := strings.Cut(line, "\n"); strings.Contains(first, "running as root") {
		line = rest // a warning to whoever runs the tests
	}
	if strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "intertie: ") {
		t.Errorf("not one clear line:\n%s", line)
	}
	return p.ExitCode(), line
}

// admin is the Owner whom the first start makes.
func (s *server) admin(t *testing.T) armclient.Credentials {
	t.Helper()
	creds, err := armclient.FromEnvFile(filepath.Join(s.dir, "admin.env"))
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

// tenant is the GUID of the server's directory.
func (s *server) tenant(t *testing.T) string {
	t.Helper()
	f, err := os.Open(filepath.Join(s.dir, "admin.env"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	vars, err := armclient.ParseEnv(f)
	if err != nil {
		t.Fatal(err)
	}
	return vars[armclient.EnvTenantID]
}
