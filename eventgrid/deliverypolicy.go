package eventgrid

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"

	"github.com/intertie/intertie/resource"
)

// RetryPolicy bounds how long an event is tried. Whichever limit comes first
// ends it.
type RetryPolicy struct {
	MaxDeliveryAttempts      int `json:"maxDeliveryAttempts"`
	EventTimeToLiveInMinutes int `json:"eventTimeToLiveInMinutes"`
}

// UnmarshalJSON changes only what was sent, and refuses a zero that was: it
// would look like a member left out.
func (p *RetryPolicy) UnmarshalJSON(data []byte) error {
	var sent struct {
		Attempts *int `json:"maxDeliveryAttempts"`
		Minutes  *int `json:"eventTimeToLiveInMinutes"`
	}
	if err := json.Unmarshal(data, &sent); err != nil {
		return err
	}
	if sent.Attempts != nil {
		if p.MaxDeliveryAttempts = *sent.Attempts; p.MaxDeliveryAttempts < 1 {
			return p.outside()
		}
	}
	if sent.Minutes != nil {
		if p.EventTimeToLiveInMinutes = *sent.Minutes; p.EventTimeToLiveInMinutes < 1 {
			return p.outside()
		}
	}
	return nil
}

func (p *RetryPolicy) outside() error {
	return resource.Invalid("Invalid event subscription request: retryPolicy takes maxDeliveryAttempts between 1 and %d and eventTimeToLiveInMinutes between 1 and %d; they are %d and %d.",
		maxDeliveryAttempts, maxTimeToLive, p.MaxDeliveryAttempts, p.EventTimeToLiveInMinutes)
}

// Azure's limits, which are its defaults as well.
const (
	maxDeliveryAttempts = 30
	maxTimeToLive       = 1440 // minutes
)

// DeadLetterDestination is where events go that could not be delivered.
type DeadLetterDestination struct {
	EndpointType string             `json:"endpointType"`
	Properties   *StorageBlobTarget `json:"properties"`
}

// StorageBlobTarget names a container in a storage account.
type StorageBlobTarget struct {
	ResourceID string `json:"resourceId"`
	Container  string `json:"blobContainerName"`
}

var (
	containerPattern = regexp.MustCompile(`^[a-z0-9](?:-?[a-z0-9])+$`)
	// Azure takes 3 to 24 lower-case letters and digits. More may be bound to real
	// addresses here, but nothing that means something in a file path.
	accountPattern = regexp.MustCompile(`^[a-zA-Z0-9][-a-zA-Z0-9]{0,62}$`)
)

func checkRetryPolicy(next *EventSubscription) error {
	if next.RetryPolicy == nil {
		next.RetryPolicy = &RetryPolicy{}
	}
	p := next.RetryPolicy
	if p.MaxDeliveryAttempts == 0 {
		p.MaxDeliveryAttempts = maxDeliveryAttempts
	}
	if p.EventTimeToLiveInMinutes == 0 {
		p.EventTimeToLiveInMinutes = maxTimeToLive
	}
	if p.MaxDeliveryAttempts > maxDeliveryAttempts || p.EventTimeToLiveInMinutes > maxTimeToLive {
		return p.outside()
	}
	return nil
}

const typeStorageAccount = "Microsoft.Storage/storageAccounts"

// checkDeadLetter admits a container of a storage account that the caller may
// write to: dead letters are somebody's data, and they fill somebody's disk. That is
// asked when the account or the container is named, so that others can change the
// rest.
func checkDeadLetter(w *resource.Write, d, old *DeadLetterDestination) error {
	if d == nil {
		return nil
	}
	if !equalFold(d.EndpointType, "StorageBlob") || d.Properties == nil {
		return resource.Invalid("Invalid event subscription request: deadLetterDestination must have endpointType 'StorageBlob' and properties with resourceId and blobContainerName.")
	}
	d.EndpointType = "StorageBlob"
	id, err := resource.ParseID(d.Properties.ResourceID)
	if err != nil || !equalFold(id.Type(), typeStorageAccount) || !resource.InGroup.Holds(id.Scope()) || !accountPattern.MatchString(id.Name()) {
		return resource.Invalid("Invalid event subscription request: deadLetterDestination.properties.resourceId '%s' is not the id of a storage account.", d.Properties.ResourceID)
	}
	if c := d.Properties.Container; len(c) < 3 || len(c) > 63 || !containerPattern.MatchString(c) {
		return resource.Invalid("Invalid event subscription request: blobContainerName '%s' must have 3 to 63 lower-case letters, digits and single hyphens.", d.Properties.Container)
	}
	if old != nil && old.Properties != nil && old.Properties.Container == d.Properties.Container {
		if was, err := resource.ParseID(old.Properties.ResourceID); err == nil && was.Equal(id) {
			return nil
		}
	}
	return w.Require(typeStorageAccount+"/write", id)
}

// DeadLetterAccounts returns the ids of the storage accounts that event
// subscriptions name for their dead letters, each in one spelling and once.
func DeadLetterAccounts(tx resource.Reader) []resource.ID {
	mark, seen := []byte(`"deadLetterDestination"`), make(map[string]resource.ID)
	for _, typ := range SubscriptionTypes() {
		for _, r := range tx.List(typ, resource.ID{}) {
			if !bytes.Contains(r.Properties, mark) {
				continue
			}
			p, err := resource.Properties[EventSubscription](r)
			if err != nil || p.DeadLetter == nil || p.DeadLetter.Properties == nil {
				continue
			}
			if id, err := resource.ParseID(p.DeadLetter.Properties.ResourceID); err == nil {
				seen[id.Key()] = id
			}
		}
	}
	return slices.Collect(maps.Values(seen))
}
