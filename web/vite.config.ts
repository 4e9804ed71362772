import { type Plugin, type ProxyOptions, defineConfig, loadEnv } from "vite";
import { VitePWA } from "vite-plugin-pwa";

/** A running shop's REST address and push address, for `npm run dev` and `npm run preview` only. */
const { CARDSHOP_API: shop, CARDSHOP_PUSH: push } = loadEnv("", ".", "CARDSHOP_");

const proxy: Record<string, ProxyOptions> = shop
  ? { "/api": { target: new URL(shop).origin, rewrite: (path) => path.replace(/^\/api/, new URL(shop).pathname) } }
  : {};

/** What the deploy writes beside the pages, and the headers the pages are delivered with. */
function site(): Plugin {
  const serve: NonNullable<Plugin["configureServer"]> & NonNullable<Plugin["configurePreviewServer"]> = ({
    middlewares,
  }: {
    middlewares: { use(path: string, handle: (request: unknown, response: Answer) => void): void };
  }) => {
    middlewares.use("/config.json", (_, response) => {
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ api: "/api", ...(push ? { push } : {}) }));
    });
  };
  return { name: "site", configureServer: serve, configurePreviewServer: serve };
}

interface Answer {
  setHeader(name: string, value: string): void;
  end(body: string): void;
}

/** As strict as in production; the push address is another origin only on a developer's machine. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "manifest-src 'self'",
  "worker-src 'self'",
  `connect-src 'self' ${push ? new URL(push).origin : ""}`,
  "form-action 'self' https: http:",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

export default defineConfig({
  plugins: [
    site(),
    VitePWA({
      registerType: "prompt",
      injectRegister: false,
      includeAssets: ["icons/*.svg"],
      manifest: {
        id: "/",
        name: "Cardshop",
        short_name: "Cardshop",
        description: "付款即发货的卡密商店 · Card codes, delivered the moment you pay",
        lang: "zh-CN",
        start_url: "/",
        scope: "/",
        display: "standalone",
        background_color: "#f5f1e8",
        theme_color: "#f5f1e8",
        categories: ["shopping"],
        icons: [
          { src: "/icons/192.png", sizes: "192x192", type: "image/png" },
          { src: "/icons/512.png", sizes: "512x512", type: "image/png" },
          { src: "/icons/maskable.png", sizes: "512x512", type: "image/png", purpose: "maskable" },
          { src: "/icons/mark.svg", sizes: "any", type: "image/svg+xml" },
        ],
        shortcuts: [
          { name: "我的订单 My orders", url: "/orders" },
          { name: "查单 Find an order", url: "/find" },
        ],
      },
      workbox: {
        globPatterns: ["**/*.{js,css,html,svg}"],
        navigateFallback: "/index.html",
        navigateFallbackDenylist: [/^\/api\//, /^\/ws/, /^\/config\.json$/],
        cleanupOutdatedCaches: true,
        inlineWorkboxRuntime: true,
      },
    }),
  ],
  build: { target: "es2022", cssTarget: ["chrome107", "safari15.4", "firefox110"], assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy },
  preview: { proxy, headers: { "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff" } },
});
