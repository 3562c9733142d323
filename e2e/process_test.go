package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/intertie/intertie/armclient"
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
	url    string
	http   *http.Client

	cmd    *exec.Cmd
	stderr *output
	exited chan struct{}
}

// output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

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

func tail(s string, n int) string {
	if len(s) > n {
		return "… " + s[len(s)-n:]
	}
	return s
}

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
	s.cmd = program(s.flags()...)
	s.cmd.Stderr = s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) { // ends with the process, which the clean-up ends
		_ = cmd.Wait() // the state says it all
		close(exited)
	}(s.cmd, s.exited)
}

func (s *server) flags() []string {
	return append([]string{"serve", "--data", s.dir, "--listen", s.listen}, s.args...)
}

// program is a command without settings from the environment of the tests.
func program(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "INTERTIE_") && !strings.HasPrefix(v, "AZURE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "INTERTIE_STOP_GRACE=0s") // nobody is told to come back
	return cmd
}

func (s *server) running() bool {
	if s.exited == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// ready finds the server as scripts do: run.json names it, /readyz answers 200.
func (s *server) ready() bool {
	var found struct {
		URL string
		PID int
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "run.json"))
	if err != nil || json.Unmarshal(text, &found) != nil || found.PID != s.cmd.Process.Pid {
		return false // also: the file of a process that was killed
	}
	if s.http == nil {
		pem, err := os.ReadFile(filepath.Join(s.dir, "ca.pem"))
		if err != nil {
			return false
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		s.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 32, ForceAttemptHTTP2: true,
		}}
	}
	s.url = found.URL
	resp, err := s.http.Get(s.url + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}

// stop asks the server to end, which must succeed.
func (s *server) stop(t *testing.T) time.Duration {
	t.Helper()
	s.http.CloseIdleConnections() // net/http gives those of HTTP/2 a second to end
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the server exited with %d after SIGTERM:\n%s", code, tail(s.stderr.String(), 4000))
	}
	return time.Since(began)
}

// kill ends the server as a power cut would, as far as it is concerned.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	s.http.CloseIdleConnections()
}

func (s *server) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(stopLimit):
		_ = s.cmd.Process.Kill()
		<-s.exited
		t.Errorf("the server did not end within %s:\n%s", stopLimit, tail(s.stderr.String(), 4000))
	}
}

// refuse starts a server that cannot start. It returns its exit code and what
// it said, which must be one line.
func (s *server) refuse(t *testing.T) (int, string) {
	t.Helper()
	cmd := program(s.flags()...)
	var said output
	cmd.Stderr = &said
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("the server ran although it should not: %v\n%s", err, said.String())
	}
	line := said.String()
	if strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "intertie: ") {
		t.Errorf("not one clear line:\n%s", line)
	}
	return exit.ExitCode(), line
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
