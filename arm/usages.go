package arm

import (
	"net/http"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

const typeLocation = eventgrid.Namespace + "/locations"

// Usage is how much of an amount is used.
type Usage struct {
	Used, Limit int64 // bytes; Limit 0 is any number
}

// listUsages shows what the subscription uses of its storage, in the form in which
// other providers of Azure show what is no number of resources. It is the same in all
// locations, which are names here.
func (h *Handler) listUsages(rq *request) error {
	if err := h.checkCatalogue(rq); err != nil {
		return err
	}
	if err := h.authorize(rq, eventgrid.Namespace+"/locations/usages/read", resource.SubscriptionID(rq.path.ID.Subscription)); err != nil {
		return err
	}
	if _, err := h.findSubscription(rq.path.ID); err != nil {
		return err
	}
	value := []any{}
	if h.Storage != nil {
		u := h.Storage(rq.path.ID.Subscription)
		limit := u.Limit
		if limit == 0 {
			limit = -1 // as other providers say it
		}
		value = append(value, map[string]any{
			"id":   rq.path.ID.String() + "/usages/StoredBytes",
			"name": map[string]string{"value": "StoredBytes", "localizedValue": "Bytes of events that wait for delivery"},
			"unit": "Bytes", "currentValue": u.Used, "limit": limit,
		})
	}
	writeJSON(rq.out, http.StatusOK, page{Value: value})
	return nil
}
