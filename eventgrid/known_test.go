package eventgrid

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

// knownMember is a member that not all api-versions know: a path into what reads
// show, and some versions that do and do not.
type knownMember struct {
	path         string
	known, other string
}

// Whoever writes a resource by an api-version leaves alone what that one does not
// know, however deep; a version that knows it takes it away by leaving it out.
func TestAPutKeepsWhatItsVersionDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		id            resource.ID
		full, partial string
		members       []knownMember
	}{
		{
			registrationID, `{"properties":{"partnerName":"Northwave","partnerResourceTypeName":"a","partnerResourceTypeDisplayName":"b","partnerResourceTypeDescription":"c","longDescription":"d",
				"partnerCustomerServiceNumber":"+1 515 123 4567","partnerCustomerServiceExtension":"12","customerServiceUri":"e","setupUri":"f","logoUri":"g","visibilityState":"PublicPreview",
				"authorizedAzureSubscriptionIds":["` + strangerSub + `"]}}`, `{}`,
			[]knownMember{
				{"partnerName", "2021-10-15-preview", "2022-06-15"},
				{"partnerResourceTypeName", "2020-04-01-preview", "2025-02-15"},
				{"partnerResourceTypeDisplayName", "2021-10-15-preview", "2022-06-15"},
				{"partnerResourceTypeDescription", "2021-10-15-preview", "2023-06-01-preview"},
				{"longDescription", "2021-10-15-preview", "2022-06-15"},
				{"partnerCustomerServiceNumber", "2021-10-15-preview", "2022-06-15"},
				{"partnerCustomerServiceExtension", "2021-10-15-preview", "2022-06-15"},
				{"customerServiceUri", "2021-10-15-preview", "2022-06-15"},
				{"setupUri", "2021-10-15-preview", "2022-06-15"},
				{"logoUri", "2021-10-15-preview", "2022-06-15"},
				{"visibilityState", "2021-10-15-preview", "2022-06-15"},
				{"authorizedAzureSubscriptionIds", "2021-10-15-preview", "2022-06-15"},
			},
		},
		{
			domainID, `{"location":"westeurope","properties":{"publicNetworkAccess":"Disabled","inboundIpRules":[{"ipMask":"10.0.0.0/8"}],"disableLocalAuth":true,"minimumTlsVersionAllowed":"1.2",
				"dataResidencyBoundary":"WithinRegion","eventTypeInfo":{"kind":"Inline"},"autoCreateTopicWithFirstSubscription":false,"autoDeleteTopicWithLastSubscription":false}}`, `{}`,
			[]knownMember{
				{"publicNetworkAccess", "2020-06-01", "2019-06-01"},
				{"inboundIpRules", "2022-06-15", "2019-06-01"},
				{"disableLocalAuth", "2021-12-01", "2020-06-01"},
				{"minimumTlsVersionAllowed", "2025-02-15", "2022-06-15"},
				{"dataResidencyBoundary", "2021-10-15-preview", "2021-12-01"},
				{"dataResidencyBoundary", "2022-06-15", "2020-06-01"},
				{"eventTypeInfo", "2023-06-01-preview", "2022-06-15"},
				{"autoCreateTopicWithFirstSubscription", "2021-12-01", "2020-06-01"},
				{"autoDeleteTopicWithLastSubscription", "2021-12-01", "2020-06-01"},
			},
		},
		{
			namespaceID, namespaceBody(`,"minimumTlsVersionAllowed":"1.2"`), `{}`,
			[]knownMember{{"minimumTlsVersionAllowed", "2025-02-15", "2022-06-15"}},
		},
		{
			subscriptionID, `{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://x.example/h","maxEventsPerBatch":7,"preferredBatchSizeInKilobytes":99,
				"azureActiveDirectoryTenantId":"contoso.example","azureActiveDirectoryApplicationIdOrUri":"api://erp","minimumTlsVersionAllowed":"1.2",
				"deliveryAttributeMappings":[{"name":"x-key","type":"Static","properties":{"value":"s3cret","isSecret":true}}]}},
				"filter":{"subjectBeginsWith":"/a","enableAdvancedFilteringOnArrays":true,"advancedFilters":[{"operatorType":"IsNotNull","key":"data.x"}]},"expirationTimeUtc":"2027-01-01T00:00:00Z",
				"retryPolicy":{"maxDeliveryAttempts":3,"eventTimeToLiveInMinutes":5}` + deadLetter(account, "letters") + `}}`,
			`{"properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://x.example/h"}}}}`,
			[]knownMember{
				{"retryPolicy.maxDeliveryAttempts", "2019-01-01", "2018-01-01"},
				{"deadLetterDestination", "2019-01-01", "2018-01-01"},
				{"expirationTimeUtc", "2019-06-01", "2019-01-01"},
				{"filter.advancedFilters", "2019-06-01", "2019-01-01"},
				{"filter.enableAdvancedFilteringOnArrays", "2022-06-15", "2020-06-01"},
				{"destination.properties.maxEventsPerBatch", "2020-06-01", "2019-06-01"},
				{"destination.properties.preferredBatchSizeInKilobytes", "2020-06-01", "2019-06-01"},
				{"destination.properties.azureActiveDirectoryTenantId", "2020-06-01", "2018-01-01"},
				{"destination.properties.azureActiveDirectoryApplicationIdOrUri", "2020-06-01", "2018-01-01"},
				{"destination.properties.deliveryAttributeMappings", "2022-06-15", "2020-06-01"},
				{"destination.properties.minimumTlsVersionAllowed", "2025-02-15", "2022-06-15"},
			},
		},
	} {
		for _, m := range c.members {
			w := newWorld(t).withSubscription()
			if c.id.Equal(domainID) {
				w.must(w.put(domainID, `{"location":"westeurope"}`))
			}
			w.must(w.put(c.id, c.full))
			secrets := w.get(c.id).Secrets
			before := w.member(c.id, m.path)
			if before == "null" {
				t.Fatalf("%s has no %s", c.id, m.path)
			}
			w.version = m.other
			w.must(w.put(c.id, c.partial))
			if diff := cmp.Diff(before, w.member(c.id, m.path)); diff != "" {
				t.Errorf("a PUT by %s changed %s of %s:\n%s", m.other, m.path, c.id.Type(), diff)
			}
			if strings.Contains(m.path, "Attribute") && w.get(c.id).Secrets[attributeSecret("x-key")] != secrets[attributeSecret("x-key")] {
				t.Errorf("a PUT by %s lost the value of a secret header", m.other)
			}
			w.version = m.known
			w.must(w.put(c.id, c.partial))
			if before == w.member(c.id, m.path) {
				t.Errorf("a PUT by %s did not take %s of %s away", m.known, m.path, c.id.Type())
			}
		}
	}
}

// member returns the JSON of what reads show at a path.
func (w *world) member(id resource.ID, path string) string {
	w.t.Helper()
	var v any
	w.must(json.Unmarshal([]byte(w.show(id, resource.ID{})), &v))
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	data, err := json.Marshal(v)
	w.must(err)
	return string(data)
}

// The probe of a stranger: wait until a partner's own client drops its name.
func TestNoVersionDropsAPartnersName(t *testing.T) {
	versions := slices.Clone(partnerVersions)
	w := newWorld(t).withNamespace()
	theirs := customerGroup.Provider(TypePartnerRegistration, "theirs")
	for _, w.version = range versions {
		w.must(w.put(registrationID, `{"location":"global"}`))
		w.wantError(w.put(theirs, named("Northwave")), resource.Conflict, "Northwave")
	}
}
