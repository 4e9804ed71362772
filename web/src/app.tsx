/** The routes, inside the frame that every page shares. */

import { useSignal } from "@preact/signals";
import { ErrorBoundary, LocationProvider, Route, Router, lazy } from "preact-iso";
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
const Lost = lazy(() => import("./pages/lost"));

export function App() {
  const broken = useSignal(false);
  return (
    <LocationProvider>
      <Frame>
        {broken.value ? (
          <State
            page
            title={t().install}
            action={
              <button type="button" class="button" onClick={() => location.reload()}>
                {t().update.reload}
              </button>
            }
          />
        ) : (
          <ErrorBoundary onError={() => (broken.value = true)}>
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
        )}
      </Frame>
    </LocationProvider>
  );
}
