package webhook

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/intertie/intertie/destination"
)

func TestControlMessagesOnTheWire(t *testing.T) {
	const id = topicID + "/providers/Microsoft.EventGrid/eventSubscriptions/hook1"
	// GUID stands for the event's id, LENGTH for the body's.
	header := func(kind, version string) string {
		return "Content-Length: LENGTH\r\n" +
			"Content-Type: application/json; charset=utf-8\r\n" +
			"aeg-data-version: " + version + "\r\n" +
			"aeg-delivery-count: 0\r\n" +
			"aeg-event-type: " + kind + "\r\n" +
			"aeg-metadata-version: 1\r\n" +
			"aeg-subscription-name: HOOK1\r\n\r\n" +
			`[{"id":"GUID","topic":"` + topicID + `","subject":"",`
	}
	for _, tt := range []struct {
		name string
		send func(c *Client, url string) error
		want string // behind the Host line
	}{
		{"validation event", func(c *Client, url string) error {
			_, err := c.HandshakeEventGrid(t.Context(), Handshake{
				URL: url, SubscriptionName: "hook1", Topic: topicID, Code: code, CallbackURL: "https://grid.example/validate?id=1&token=t",
			})
			return err
		}, "POST " + header("SubscriptionValidation", "2") +
			`"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","eventTime":"2026-03-01T08:00:00.1234567Z",` +
			`"data":{"validationCode":"` + code + `","validationUrl":"https://grid.example/validate?id=1&token=t"},` +
			`"metadataVersion":"1","dataVersion":"2"}]`},
		{"CloudEvents handshake", func(c *Client, url string) error {
			_, err := c.HandshakeCloudEvents(t.Context(), Handshake{URL: url, CallbackURL: "https://grid.example/validate?id=1&token=t"})
			return err
		}, "OPTIONS WebHook-Request-Callback: https://grid.example/validate?id=1&token=t\r\n" +
			"WebHook-Request-Origin: eventgrid.azure.net\r\n\r\n"},
		{"deletion notice", func(c *Client, url string) error {
			return c.NotifyDeletion(t.Context(), Deletion{URL: url, SubscriptionName: "hook1", SubscriptionID: id, Topic: topicID})
		}, "POST " + header("SubscriptionDeletion", "1") +
			`"eventType":"Microsoft.EventGrid.SubscriptionDeletedEvent","eventTime":"2026-03-01T08:00:00.1234567Z",` +
			`"data":{"eventSubscriptionId":"` + id + `"},"metadataVersion":"1","dataVersion":"1"}]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, got := wire(t)
			c := newTestClient(t, Options{Now: func() time.Time {
				return time.Date(2026, 3, 1, 9, 0, 0, 123456789, time.FixedZone("", 3600))
			}})
			if err := tt.send(c, url+"/hook?code=s3cret"); err != nil {
				t.Fatal(err)
			}
			request := <-got
			method, rest, _ := strings.Cut(tt.want, " ")
			if _, sent, found := strings.Cut(request, `[{"id":"`); found {
				sent, _, _ = strings.Cut(sent, `"`)
				if _, err := uuid.Parse(sent); err != nil || sent != strings.ToLower(sent) {
					t.Errorf("id = %q, want a lower-case GUID", sent)
				}
				rest = strings.Replace(rest, "GUID", sent, 1)
			}
			_, body, _ := strings.Cut(rest, "\r\n\r\n")
			rest = strings.Replace(rest, "LENGTH", strconv.Itoa(len(body)), 1)
			want := method + " /hook?code=s3cret HTTP/1.1\r\nHost: " + strings.TrimPrefix(url, "http://") + "\r\n" + rest
			if diff := cmp.Diff(want, request); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotifyDeletionTriesOnce(t *testing.T) {
	for _, status := range []int{200, 202, 302, 404, 500} {
		var tries atomic.Int64
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			tries.Add(1)
			w.WriteHeader(status)
		})
		err := newTestClient(t, Options{}).NotifyDeletion(t.Context(), Deletion{URL: url})
		if err != nil || tries.Load() != 1 {
			t.Errorf("%d: %v after %d tries, want nil after one", status, err, tries.Load())
		}
	}
	var tries atomic.Int64
	dead := raw(t, func(net.Conn) { tries.Add(1) })
	err := newTestClient(t, Options{}).NotifyDeletion(t.Context(), Deletion{URL: dead + "/?code=s3cret"})
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Outcome != destination.SocketError || tries.Load() != 1 || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("dead endpoint: %v after %d tries", err, tries.Load())
	}
	hung := raw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	err = newTestClient(t, Options{Timeout: 50 * time.Millisecond}).NotifyDeletion(t.Context(), Deletion{URL: hung})
	if e, ok = errors.AsType[*Error](err); !ok || e.Outcome != destination.TimedOut {
		t.Errorf("endpoint that hangs: %v, want TimedOut", err)
	}
	err = NewClient(Options{}).NotifyDeletion(t.Context(), Deletion{URL: "https://127.0.0.1/"})
	if _, ok := errors.AsType[*URLError](err); !ok {
		t.Errorf("refused address: %v, want a *URLError", err)
	}
}
