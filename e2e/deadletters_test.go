package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/google/go-cmp/cmp"
)

// deadLetter is one record in a blob.
type deadLetter struct {
	blob   string // its name, from the container on
	fields map[string]any
}

// deadLettersIn reads all blobs in a folder.
func deadLettersIn(t *testing.T, folder string) []deadLetter {
	t.Helper()
	var out []deadLetter
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !e.Type().IsRegular() || filepath.Ext(path) != ".json" {
			return nil // a folder, or a blob that is being written
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		out = append(out, readBlob(t, filepath.ToSlash(name), body)...)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

func readBlob(t *testing.T, name string, body []byte) []deadLetter {
	t.Helper()
	var records []map[string]any
	if err := json.Unmarshal(body, &records); err != nil {
		t.Fatalf("%s is not an array: %v\n%s", name, err, body)
	}
	var out []deadLetter
	for _, r := range records {
		out = append(out, deadLetter{name, r})
	}
	return out
}

// TestDeadLetters lets events of every schema fail, and reads what is left of
// them in a folder.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	s := serve(t, "--retry-schedule", "100ms,200ms", "--dead-letter-delay", "700ms")
	hook := receive(t)
	d := shop(t, s)
	grid, cloud, custom := d.openTopic(t, "grid-in", gridInput), d.openTopic(t, "cloud-in", cloudInput), d.openTopic(t, "custom-in", customInput)
	cases := []struct {
		name     string
		from     *source
		schema   armeventgrid.EventDeliverySchema
		status   int
		reason   string
		outcome  string
		attempts float64
	}{
		{"grid", grid, asGrid, 500, "MaxDeliveryAttemptsExceeded", "GenericError", 3},
		{"grid-cloud", grid, asCloud, 503, "MaxDeliveryAttemptsExceeded", "Busy", 3},
		{"grid-400", grid, asGrid, 400, "UndeliverableDueToHttpBadRequest", "BadRequest", 1},
		{"grid-401", grid, asGrid, 401, "UndeliverableDueToHttpUnauthorized", "Unauthorized", 1},
		{"grid-403", grid, asGrid, 403, "UndeliverableDueToHttpForbidden", "Forbidden", 1},
		{"grid-404", grid, asGrid, 404, "UndeliverableDueToHttpNotFound", "NotFound", 1},
		{"grid-413", grid, asGrid, 413, "UndeliverableDueToHttpRequestEntityTooLarge", "PayloadTooLarge", 1},
		{"cloud", cloud, asCloud, 500, "MaxDeliveryAttemptsExceeded", "GenericError", 3},
		{"custom", custom, asCustom, 500, "MaxDeliveryAttemptsExceeded", "GenericError", 3},
		{"custom-grid", custom, asGrid, 500, "MaxDeliveryAttemptsExceeded", "GenericError", 3},
		{"custom-cloud", custom, asCloud, 500, "MaxDeliveryAttemptsExceeded", "GenericError", 3},
	}
	var mu sync.Mutex
	attempts := map[string]int{}
	for _, c := range cases {
		hook.answer("/"+c.name, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			attempts[r.URL.Path]++
			mu.Unlock()
			w.WriteHeader(c.status)
		})
		d.subscribeAt(t, c.from.id, c.name, deadLettered(webhookAs(hook.URL+"/"+c.name, c.schema), d.account("dead"), c.name, 3))
	}
	began := time.Now()
	grid.mustPublish(t, gridEvent("g", `{"n":12345678901234567890}`), nil)
	cloud.mustPublish(t, `{"specversion":"1.0","id":"c","source":"/shop","type":"t","data":{"n":1},"ext":"kept"}`, map[string]string{"Content-Type": "application/cloudevents+json"})
	custom.mustPublish(t, `{"ref":"x","what":"t","where":"here","when":"2026-03-01T08:00:00Z","n":1}`, nil)
	folder := filepath.Join(s.dir, "blobs", strings.ToLower("dead@"+d.group+"@"+d.subscription))
	byName := map[string]deadLetter{}
	until(t, 30*time.Second, "every event has a dead letter", func() bool {
		clear(byName)
		for _, l := range deadLettersIn(t, folder) {
			byName[strings.SplitN(l.blob, "/", 2)[0]] = l
		}
		return len(byName) == len(cases)
	})
	blobName := regexp.MustCompile(`^([-a-z0-9]+)/([-A-Z0-9]+)/(\d{4})/([1-9]\d?)/([1-9]\d?)/(\d|1\d|2[0-3])/[0-9a-f-]{36}\.json$`)
	for _, c := range cases {
		got := byName[c.name]
		m := blobName.FindStringSubmatch(got.blob)
		if m == nil || m[2] != strings.ToUpper(c.name) {
			t.Errorf("%s: the blob is %s", c.name, got.blob)
		}
		mu.Lock()
		if n := attempts["/"+c.name]; n != int(c.attempts) {
			t.Errorf("%s: %d attempts, want %v", c.name, n, c.attempts)
		}
		mu.Unlock()
		spell := func(s string) string { return s }
		want := map[string]any{
			"id": "g", "topic": grid.id, "subject": "orders/g", "eventType": "Shop.Order.Placed", "eventTime": "2026-03-01T08:00:00Z",
			"data": map[string]any{"n": 12345678901234567890.0}, "dataVersion": "1", "metadataVersion": "1",
		}
		original := map[string]any{"ref": "x", "what": "t", "where": "here", "when": "2026-03-01T08:00:00Z", "n": 1.0}
		switch c.name {
		case "grid-cloud":
			spell = strings.ToLower
			want = map[string]any{
				"id": "g", "source": grid.id, "specversion": "1.0", "type": "Shop.Order.Placed", "dataschema": "#1", "subject": "orders/g",
				"time": "2026-03-01T08:00:00Z", "data": map[string]any{"n": 12345678901234567890.0},
			}
		case "cloud":
			spell = strings.ToLower
			want = map[string]any{"specversion": "1.0", "id": "c", "source": "/shop", "type": "t", "data": map[string]any{"n": 1.0}, "ext": "kept"}
		case "custom", "custom-grid": // a custom event is always wrapped
			want = map[string]any{
				"id": "x", "topic": custom.id, "subject": "here", "eventType": "t", "eventTime": "2026-03-01T08:00:00Z",
				"data": original, "dataVersion": "", "metadataVersion": "1",
			}
		case "custom-cloud":
			spell = strings.ToLower
			want = map[string]any{
				"id": "x", "source": custom.id, "specversion": "1.0", "type": "t", "dataschema": "#", "subject": "here", "time": "2026-03-01T08:00:00Z", "data": original,
			}
		}
		want[spell("deadLetterReason")], want[spell("deliveryAttempts")] = c.reason, c.attempts
		want[spell("lastDeliveryOutcome")], want[spell("lastHttpStatusCode")] = c.outcome, float64(c.status)
		for _, name := range []string{"publishTime", "lastDeliveryAttemptTime"} {
			text, _ := got.fields[spell(name)].(string)
			at, err := time.Parse("2006-01-02T15:04:05.0000000Z", text)
			if err != nil || at.Before(began.Add(-time.Second)) || at.After(time.Now()) {
				t.Errorf("%s: %s is %q", c.name, spell(name), text)
			}
			want[spell(name)] = text
		}
		if diff := cmp.Diff(want, got.fields); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// azurite starts Microsoft's emulator of the storage service (npm package
// azurite) on a free port, and returns a connection string.
func azurite(t *testing.T) string {
	t.Helper()
	program := filepath.Join(modules(t, "azurite"), ".bin", "azurite-blob")
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--blobHost", "127.0.0.1", "--blobPort", "0",
		"--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
	cmd.Dir = t.TempDir()
	var said output
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() { cancel(); <-ended })
	listens := regexp.MustCompile(`successfully listens on (http://\S+)`)
	until(t, scriptLimit, "azurite listens", func() bool { return listens.MatchString(said.String()) })
	return "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;" +
		"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;" +
		"BlobEndpoint=" + listens.FindStringSubmatch(said.String())[1] + "/devstoreaccount1"
}

// TestDeadLettersInAzurite sends dead letters to a storage account that the
// operator bound to an address: several events in a blob.
func TestDeadLettersInAzurite(t *testing.T) {
	t.Parallel()
	connection := azurite(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	storage := must(azblob.NewClientFromConnectionString(connection, &azblob.ClientOptions{ClientOptions: policy.ClientOptions{Transport: &http.Client{Transport: transport}}}))(t)
	must(storage.CreateContainer(t.Context(), "letters", nil))(t)

	s := serve(t, "--retry-schedule", "100ms", "--dead-letter-delay", "500ms")
	hook := receive(t)
	d := shop(t, s)
	// Whoever names an account has to be allowed to write to it, so it is one of theirs.
	account := d.account("bound")
	s.stop(t)
	s.args = append(s.args, "--bind", account+"="+connection)
	s.start(t)
	topic := d.openTopic(t, "orders", gridInput)
	hook.answer("/failing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	d.subscribeAt(t, topic.id, "failing", deadLettered(webhook(hook.URL+"/failing"), account, "letters", 2))
	d.subscribeAt(t, topic.id, "nowhere", deadLettered(webhook(hook.URL+"/failing"), account, "missing", 2))
	var events, ids []string
	for _, id := range []string{"a", "b", "c", "d"} {
		ids = append(ids, id)
		events = append(events, gridEvent(id, "{}"))
	}
	topic.mustPublish(t, "["+strings.Join(events, ",")+"]", nil)

	blobs := map[string]int{}
	got := map[string]bool{}
	until(t, 20*time.Second, "the dead letters are in the account", func() bool {
		clear(blobs)
		clear(got)
		pager := storage.NewListBlobsFlatPager("letters", nil)
		for pager.More() {
			page, err := pager.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range page.Segment.BlobItems {
				resp := must(storage.DownloadStream(t.Context(), "letters", *b.Name, nil))(t)
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range readBlob(t, *b.Name, body) {
					id, _ := l.fields["id"].(string)
					got[id] = true
					blobs[l.blob]++
				}
				if *b.Properties.ContentType != "application/json" || !strings.HasPrefix(*b.Name, "FAILING/") {
					t.Errorf("%s is %s", *b.Name, *b.Properties.ContentType)
				}
			}
		}
		return len(got) == len(ids)
	})
	if len(blobs) == len(ids) {
		t.Errorf("each event has a blob of its own: %v", slices.Collect(maps.Keys(blobs)))
	}
	// A container that does not exist is no reason to wait.
	until(t, 20*time.Second, "what cannot be written is dropped and logged", func() bool {
		return strings.Count(s.stderr.String(), `msg="event dropped"`) == len(ids)
	})
	if log := s.stderr.String(); strings.Contains(log, "Eby8vdM02") {
		t.Error("the log shows the key of the account")
	}
}
