package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
)

// TestOneSubscriptionDoesNotFillTheDisk: publishers to an Azure subscription that
// keeps as much as it may are refused, those to others are not, and it ends when the
// events are delivered.
func TestOneSubscriptionDoesNotFillTheDisk(t *testing.T) {
	t.Parallel()
	s := serve(t, "--storage-per-subscription", "16MB", "--retry-schedule", "1s")
	partner, customer := pair(t, s)
	hook := receive(t)
	hook.answer("/broken", status(http.StatusServiceUnavailable))
	connect(t, partner, customer, "orders", hook.URL+"/broken")
	to := publisherOf(t, partner, "orders")
	own := customer.openTopic(t, "own", gridInput)
	customer.subscribeAt(t, own.id, "own", webhookAs(hook.URL+"/broken", armeventgrid.EventDeliverySchemaEventGridSchema))
	neighbour := shop(t, s).openTopic(t, "neighbour", gridInput)

	filler := strings.Repeat("x", 900_000)
	n := 0
	send := func() answer {
		n++
		body := fmt.Sprintf(`[{"specversion":"1.0","id":"%d","source":"/s","type":"t","data":"%s"}]`, n, filler)
		a, err := to.post(t.Context(), []byte(body), nil)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var refused answer
	until(t, 30*time.Second, "the partner is refused", func() bool { refused = send(); return refused.status != http.StatusOK })
	if refused.status != http.StatusTooManyRequests || refused.detail() != "QuotaExceeded" || refused.header.Get("Retry-After") == "" || n < 16 {
		t.Errorf("after %d events: %d %v %s", n, refused.status, refused.header, refused.body)
	}
	accepted := n - 1
	if a, err := own.post(t.Context(), "["+gridEvent("a", `{}`)+"]", nil); err != nil || a.status != http.StatusTooManyRequests || !strings.Contains(a.error().Message, "(16 MB)") {
		t.Errorf("the customer's own topic: %v %d %s", err, a.status, a.body)
	}
	if ok, err := neighbour.publish(t.Context(), "b"); !ok {
		t.Errorf("the neighbour is refused: %v", err)
	}
	if used, limit := customer.storedBytes(t); used < 16<<20 || limit != 16<<20 {
		t.Errorf("%d of %d bytes are used", used, limit)
	}

	hook.answer("/broken", nil)
	until(t, 90*time.Second, "there is room again", func() bool { used, _ := customer.storedBytes(t); return used == 0 })
	if a := send(); a.status != http.StatusOK {
		t.Errorf("with room: %d %s", a.status, a.body)
	}
	until(t, 20*time.Second, "everything that was accepted arrives", func() bool { return len(hook.deliveries("/broken")) >= accepted+1 })
}

// storedBytes reads how much the side's Azure subscription uses of its storage.
func (d *side) storedBytes(t *testing.T) (used, limit int64) {
	t.Helper()
	a := d.call(t, http.MethodGet, "/subscriptions/"+d.subscription+"/providers/Microsoft.EventGrid/locations/"+region+"/usages", "")
	var page struct {
		Value []struct {
			Name                struct{ Value string }
			CurrentValue, Limit int64
		}
	}
	if err := json.Unmarshal(a.body, &page); err != nil || len(page.Value) != 1 || page.Value[0].Name.Value != "StoredBytes" {
		t.Fatalf("usages: %v %d %s", err, a.status, a.body)
	}
	return page.Value[0].CurrentValue, page.Value[0].Limit
}
