package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/armclient"
)

// arrivalLimit is for everything that is under way when a test looks: at most a
// few seconds' load.
const arrivalLimit = 30 * time.Second

// world is a server with a partner and a customer in it, who have one stream of
// events, and the ledger of what was acknowledged to them.
type world struct {
	*server
	*endpoint
	ledger   ledger
	operator *armclient.Client
	stream   armclient.Stream
	channels string // id of their collection
	customer armclient.Party
	next     atomic.Int64 // names
}

const (
	group     = "rg"
	account   = "dead"
	container = "letters"
	deadEvent = "dead" // begins the id of an event that nobody takes
)

// newWorld starts a server in a new data folder and sets everything up.
func newWorld(t *testing.T, dir string) *world {
	t.Helper()
	w := &world{server: newServer(t, dir), endpoint: listen(t), ledger: ledger{resources: make(map[string]*known)}}
	w.mustStart(t)
	// Read once: later the file may be on a disk that hangs.
	creds, err := armclient.FromEnvFile(w.file("admin.env"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(creds.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	creds.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(creds.CAFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	if w.operator, err = armclient.New(creds); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.operator.Close)
	w.setUp(t)
	return w
}

func (w *world) setUp(t *testing.T) {
	t.Helper()
	party := func(name string) armclient.Party {
		id, err := w.operator.CreateSubscription(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return armclient.Party{Client: w.operator, Subscription: id, Group: group}
	}
	partner := party("partner")
	w.customer = party("customer")
	flow := armclient.PartnerFlow{
		Partner: partner, Customer: w.customer, Registration: "northwave", Namespace: "northwave-weu", PartnerTopic: "orders", Source: "/northwave",
		Subscriptions: []armclient.EventSubscription{{Name: "to-erp", URL: w.URL + "/orders"}},
	}
	var err error
	if w.stream, err = flow.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.channels = armclient.EventGridID(partner.Subscription, group, "partnerNamespaces", "northwave-weu", "channels")
	dead := w.subscription("never-mind", w.URL+"/refused")
	properties := dead["properties"].(map[string]any)
	properties["filter"] = map[string]any{"subjectBeginsWith": deadEvent}
	properties["deadLetterDestination"] = map[string]any{"endpointType": "StorageBlob", "properties": map[string]any{
		"resourceId":        armclient.GroupID(w.customer.Subscription, group) + "/providers/Microsoft.Storage/storageAccounts/" + account,
		"blobContainerName": container,
	}}
	if err := w.operator.Put(t.Context(), w.stream.PartnerTopic+"/eventSubscriptions/refused", armclient.VersionEventGrid, dead, nil); err != nil {
		t.Fatal(err)
	}
}

// subscription is the body of an event subscription that gets nothing.
func (w *world) subscription(mark, url string) map[string]any {
	return map[string]any{"properties": map[string]any{
		"eventDeliverySchema": "CloudEventSchemaV1_0", "labels": []string{mark},
		"filter":      map[string]any{"subjectBeginsWith": "nobody"},
		"destination": map[string]any{"endpointType": "WebHook", "properties": map[string]any{"endpointUrl": url}},
	}}
}

// channel is the body of a channel to a new partner topic.
func (w *world) channel(topic string) map[string]any {
	return map[string]any{"properties": map[string]any{"channelType": "PartnerTopic", "partnerTopicInfo": map[string]any{
		"azureSubscriptionId": w.customer.Subscription, "resourceGroupName": group, "name": topic, "source": "/northwave/" + topic,
	}}}
}

// fill publishes while the endpoint is down, so that all of it waits.
func (w *world) fill(t *testing.T) {
	t.Helper()
	w.setDown(true)
	work := w.work(t)
	if !cameTrue(t.Context(), arrivalLimit, func() bool { return len(w.ledger.acknowledgedEvents()) > 200 && len(w.ledger.ids()) > 10 }) {
		t.Fatal("nothing is acknowledged")
	}
	work.finish()
}

// load is publishers and managers at work.
type load struct {
	end, cancel context.CancelFunc
	workers     sync.WaitGroup
}

// work begins a load. Its workers go on through every fault until it is stopped.
func (w *world) work(t *testing.T) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	more, end := context.WithCancel(ctx)
	l := &load{end: end, cancel: cancel}
	for n := range 6 {
		l.workers.Go(func() {
			for more.Err() == nil {
				if w.publish(ctx, 1+n%3*8) != nil {
					after(more, 20*time.Millisecond)
				}
			}
		})
	}
	for n := range 2 {
		l.workers.Go(func() {
			for more.Err() == nil {
				if w.manage(ctx, n == 0) != nil {
					after(more, 20*time.Millisecond)
				}
			}
		})
	}
	t.Cleanup(l.stop)
	return l
}

// stop breaks off what is under way. It may be called again.
func (l *load) stop() { l.cancel(); l.workers.Wait() }

// finish waits until all is answered.
func (l *load) finish() { l.end(); l.workers.Wait() }

// publish sends new events in one request, one in ten of which nobody takes.
func (w *world) publish(ctx context.Context, n int) error {
	ids, events := make([]string, n), make([]map[string]any, n)
	for i := range ids {
		k := w.next.Add(1)
		ids[i] = fmt.Sprintf("event-%d", k)
		if k%10 == 0 {
			ids[i] = fmt.Sprintf("%s-%d", deadEvent, k)
		}
		events[i] = map[string]any{
			"specversion": "1.0", "id": ids[i], "source": "/northwave", "type": "Order", "subject": ids[i], "data": strings.Repeat("x", int(k%900)),
		}
	}
	body, err := json.Marshal(events)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.stream.Endpoint+"?api-version=2018-01-01", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/cloudevents-batch+json")
	req.Header.Set("Aeg-Sas-Key", w.stream.Key)
	req.Header.Set("Aeg-Channel-Name", w.stream.Channel)
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("publishing: %s", resp.Status)
	}
	w.ledger.published(ids...)
	return nil
}

// manage makes a channel, or makes and changes an event subscription, and deletes
// every second one.
func (w *world) manage(ctx context.Context, channel bool) error {
	name := fmt.Sprintf("n%d", w.next.Add(1))
	id, bodies := w.channels+"/"+name, []map[string]any{w.channel(name)}
	if !channel {
		id = w.stream.PartnerTopic + "/eventSubscriptions/" + name
		bodies = []map[string]any{w.subscription("first", w.URL), w.subscription("second", w.URL)}
	}
	for _, b := range bodies {
		mark := "there"
		if !channel {
			mark = b["properties"].(map[string]any)["labels"].([]string)[0]
		}
		w.ledger.writing(id, mark)
		if err := w.operator.Put(ctx, id, armclient.VersionEventGrid, b, nil); err != nil {
			return err
		}
		w.ledger.wrote(id, mark)
	}
	if w.next.Add(1)%2 == 0 {
		w.ledger.writing(id, gone)
		if err := w.operator.Do(ctx, http.MethodDelete, id, armclient.VersionEventGrid, nil, nil); err != nil {
			return err
		}
		w.ledger.wrote(id, gone)
	}
	return nil
}

// losses returns what was acknowledged and is not there. The server runs, and
// what is under way is waited for.
func (w *world) losses(t *testing.T) []string {
	t.Helper()
	lost := w.lostWrites(t)
	ids := w.ledger.acknowledgedEvents()
	var dead []string
	for _, id := range ids {
		if strings.HasPrefix(id, deadEvent) {
			dead = append(dead, id)
		}
	}
	all := func() bool { return !w.Running() || len(w.missing(ids)) == 0 && len(w.undead(t, dead)) == 0 }
	if cameTrue(t.Context(), arrivalLimit, all) && w.Running() {
		return lost
	}
	for _, id := range w.missing(ids) {
		lost = append(lost, "event "+id)
	}
	for _, id := range w.undead(t, dead) {
		lost = append(lost, "dead letter of "+id)
	}
	return lost
}

// check ends the test when something is lost.
func (w *world) check(t *testing.T) {
	t.Helper()
	if lost := w.losses(t); len(lost) > 0 {
		t.Fatalf("of %d events and %d resources, %d are lost: %.2000v", len(w.ledger.acknowledgedEvents()), len(w.ledger.ids()), len(lost), lost)
	}
	w.ledger.settle()
}

// lostWrites compares each resource with the ledger.
func (w *world) lostWrites(t *testing.T) []string {
	t.Helper()
	var lost []string
	for _, id := range w.ledger.ids() {
		var got struct{ Properties struct{ Labels []string } }
		mark := "there"
		err := w.operator.Get(t.Context(), id, armclient.VersionEventGrid, &got)
		refused, answered := errors.AsType[*armclient.Error](err)
		switch {
		case answered && refused.Status == http.StatusNotFound:
			mark = gone
		case err != nil:
			lost = append(lost, fmt.Sprintf("resource %s cannot be read: %v", id, err))
			continue
		case len(got.Properties.Labels) > 0:
			mark = got.Properties.Labels[0]
		}
		if want, ok := w.ledger.found(id, mark); !ok {
			lost = append(lost, fmt.Sprintf("resource %s is %q and not %+q", id, mark, want))
		}
	}
	return lost
}

// undead returns which of the events are in no dead-letter blob.
func (w *world) undead(t *testing.T, ids []string) []string {
	t.Helper()
	there := make(map[string]bool)
	err := filepath.WalkDir(w.file("blobs"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || filepath.Ext(path) != ".json" {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var records []struct{ ID string }
		if err := json.Unmarshal(body, &records); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, r := range records {
			there[r.ID] = true
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading dead letters: %v", err)
	}
	var out []string
	for _, id := range ids {
		if !there[id] {
			out = append(out, id)
		}
	}
	return out
}
