package process

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Build builds the program into dir and returns its path; flags are further ones
// of go build.
func Build(dir string, flags ...string) (string, error) {
	binary := filepath.Join(dir, "intertie")
	args := append([]string{"build", "-o", binary}, flags...)
	out, err := exec.Command("go", append(args, "github.com/intertie/intertie/cmd/intertie")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building intertie: %w\n%s", err, out)
	}
	return binary, nil
}

// Command is a program without settings from the environment of the tests.
func Command(binary string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "INTERTIE_") && !strings.HasPrefix(v, "AZURE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "INTERTIE_STOP_GRACE=0s") // nobody is told to come back
	return cmd
}

// Output collects what processes write. It is safe for concurrent use.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements [io.Writer].
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String returns all of it so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Tail returns at most the last n bytes of a text.
func Tail(s string, n int) string {
	if len(s) > n {
		return "… " + s[len(s)-n:]
	}
	return s
}

// Process is a process that was started. The caller ends it.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start runs a command, which must not have been started.
func Start(cmd *exec.Cmd) (*Process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	go func() { // ends with the process
		_ = cmd.Wait() // the state says it all
		close(p.exited)
	}()
	return p, nil
}

// PID is that of the operating system.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Running reports whether the process has not ended; nil never ran.
func (p *Process) Running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Wait returns when the process has ended. One that does not end within the limit
// is killed, and Wait returns false.
func (p *Process) Wait(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		_ = p.cmd.Process.Kill() // it may have ended now
		<-p.exited
		return false
	}
}

// ExitCode is that of a process that has ended; -1 if a signal ended it.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Find returns the URL that run.json in a data folder names, unless it is of
// another process than pid, such as one that was killed.
func Find(dir string, pid int) (url string, ok bool) {
	var found struct {
		URL string `json:"url"`
		PID int    `json:"pid"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil || json.Unmarshal(text, &found) != nil || found.PID != pid {
		return "", false
	}
	return found.URL, true
}

// Client returns a client that trusts the authority of a data folder, and nobody
// else.
func Client(dir string) (*http.Client, error) {
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 32, ForceAttemptHTTP2: true,
	}}, nil
}

// Ready reports whether the server says that it is ready.
func Ready(client *http.Client, url string) bool {
	resp, err := client.Get(url + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the status says it all
	return resp.StatusCode == http.StatusOK
}
