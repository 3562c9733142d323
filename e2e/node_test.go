package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// scriptLimit bounds a script: starting node with Microsoft's SDK takes seconds
// on a busy machine.
const scriptLimit = 60 * time.Second

// needed fails the test where external parts must be there, and skips it
// elsewhere.
func needed(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("INTERTIE_REQUIRE_EXTERNAL") == "1" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("%s is missing", what)
}

// modules is the folder with the npm packages.
func modules(t *testing.T, names ...string) string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		needed(t, "node")
	}
	dir := os.Getenv("INTERTIE_NODE_MODULES")
	if dir == "" {
		needed(t, "INTERTIE_NODE_MODULES, a folder with npm packages,")
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			needed(t, "the npm package "+name)
		}
	}
	return dir
}

// script is a command that runs one of the scripts in js. It trusts the
// server's own authority.
func script(ctx context.Context, t *testing.T, s *server, name string) *exec.Cmd {
	t.Helper()
	dir := modules(t, "@azure/eventgrid", "@azure/identity", "@azure/core-auth", "@azure/arm-eventgrid")
	cmd := exec.CommandContext(ctx, "node", filepath.Join("js", name))
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AZURE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "NODE_PATH="+dir, "NODE_EXTRA_CA_CERTS="+filepath.Join(s.dir, "ca.pem"))
	return cmd
}

// runScript runs a script to its end, with JSON in and out.
func runScript(t *testing.T, s *server, name string, in, out any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptLimit)
	defer cancel()
	cmd := script(ctx, t, s, name)
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(body), &said
	got, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, said.Bytes())
	}
	if err := json.Unmarshal(got, out); err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, got, said.Bytes())
	}
}

// jsReceiver is a webhook endpoint that reads events with Microsoft's
// EventGridDeserializer: paths under /cloud/ as CloudEvents, under /grid/ in the
// Event Grid schema, others as JSON.
type jsReceiver struct {
	url string

	mu  sync.Mutex // protects the field below
	got []jsDelivery
}

// jsDelivery is one request as the script understood it.
type jsDelivery struct {
	Listening string
	Path      string
	Headers   map[string]string
	Events    []map[string]any
	Error     string
	Body      string
}

func receiveInJS(t *testing.T, s *server) *jsReceiver {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := script(ctx, t, s, "receiver.js")
	var said output
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // open until the script is to end
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &jsReceiver{}
	listening := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<24)
		for lines.Scan() {
			var d jsDelivery
			if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
				d.Error, d.Body = err.Error(), lines.Text()
			}
			if d.Listening != "" {
				listening <- d.Listening
				continue
			}
			r.mu.Lock()
			r.got = append(r.got, d)
			r.mu.Unlock()
		}
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() { cancel(); <-ended })
	select {
	case r.url = <-listening:
	case <-ended:
		t.Fatalf("receiver.js ended: %s", said.String())
	case <-time.After(scriptLimit):
		t.Fatalf("receiver.js does not listen: %s", said.String())
	}
	return r
}

// deliveries returns the requests to a path so far.
func (r *jsReceiver) deliveries(path string) []jsDelivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []jsDelivery
	for _, d := range r.got {
		if d.Path == path {
			out = append(out, d)
		}
	}
	return out
}

// events returns the events that have come to a path, by id; ones without an id
// by what by says.
func (r *jsReceiver) events(path, by string) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, d := range r.deliveries(path) {
		for _, e := range d.Events {
			id, _ := e[by].(string)
			out[id] = e
		}
	}
	return out
}

// failures returns what the script could not read.
func (r *jsReceiver) failures() []jsDelivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []jsDelivery
	for _, d := range r.got {
		if d.Error != "" {
			out = append(out, d)
		}
	}
	return out
}
