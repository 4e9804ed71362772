/** The routes, inside the frame that every page shares. */

import { useSignal } from "@preact/signals";
import { ErrorBoundary, LocationProvider, Route, Router, lazy, useLocation } from "preact-iso";
import Lost from "./pages/lost";
import { Shop } from "./pages/shop";
import { Frame } from "./parts/frame";
import { arrive } from "./parts/heading";
import { State } from "./parts/state";
import { t } from "./words";

const Product = lazy(() => import("./pages/product"));
const Checkout = lazy(() => import("./pages/checkout"));
const Order = lazy(() => import("./pages/order"));
const Orders = lazy(() => import("./pages/orders"));
const Find = lazy(() => import("./pages/find"));
const HandOff = lazy(() => import("./pages/handoff"));

export function App() {
  return (
    <LocationProvider>
      <Frame>
        <Pages />
      </Frame>
    </LocationProvider>
  );
}

function Pages() {
  const { url } = useLocation();
  const broken = useSignal<{ url: string; error: Error } | undefined>(undefined);
  if (broken.value?.url === url) return broken.value.error instanceof URIError ? <Lost /> : <NotLoaded />;
  return (
    <ErrorBoundary onError={(error) => (broken.value = { url, error })}>
      <Router onRouteChange={arrive}>
        <Route path="/" component={Shop} />
        <Route path="/products/:sku" component={Product} />
        <Route path="/checkout/:sku" component={Checkout} />
        <Route path="/orders" component={Orders} />
        <Route path="/orders/:trade" component={Order} />
        <Route path="/orders/:trade/return" component={Order} />
        <Route path="/find" component={Find} />
        <Route path="/handoff" component={HandOff} />
        <Route default component={Lost} />
      </Router>
    </ErrorBoundary>
  );
}

/** A part of this page is not to be had: newer pages may have taken its place. */
function NotLoaded() {
  return (
    <State
      page
      title={t().install}
      action={
        <button type="button" class="button" onClick={() => location.reload()}>
          {t().update.reload}
        </button>
      }
    />
  );
}
