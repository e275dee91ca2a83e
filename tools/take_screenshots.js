// Takes the pictures that tools/take_screenshots.py asks for: a JSON document on standard input.
// Nothing here waits for a fixed time only where the page gives a sign that can be waited for.

const { chromium } = require(require.resolve("playwright-core", { paths: [process.argv[2]] }));
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** Layout "Dependency grid": every task run has room for its name, whatever it took. */
async function graph(page, url) {
  await page.goto(url);
  await page.getByText("Task Runs", { exact: true }).waitFor();
  const options = page.getByLabel("Run Graph Options").or(page.getByTitle("Run Graph Options"));
  await options.first().click();
  for (const choice of ["Dependency grid", "Hide events", "Hide artifacts"]) {
    await page.getByText(choice, { exact: true }).click();
    await page.waitForTimeout(400);
  }
  await options.first().click();
  await page.mouse.click(700, 700);
  await page.keyboard.press("c"); // recentre
  await page.waitForTimeout(2500); // it moves there
}

async function resume(page, url) {
  await page.goto(url);
  await page.getByRole("button", { name: /Resume/ }).first().click();
  await page.getByText("Signature", { exact: true }).waitFor();
  await page.waitForTimeout(800); // the dialog slides in
}

async function plain(page, url) {
  await page.goto(url);
  await page.waitForLoadState("networkidle").catch(() => undefined);
  await page.waitForTimeout(1500);
}

const KINDS = { graph, resume, plain };

async function main() {
  const job = JSON.parse(require("fs").readFileSync(0, "utf8"));
  const browser = await chromium.launch({ executablePath: job.chromium, args: FLAGS });
  for (const shot of job.shots) {
    const context = await browser.newContext({
      viewport: { width: shot.width, height: shot.height },
      deviceScaleFactor: shot.scale,
      colorScheme: "light",
      timezoneId: "UTC",
    });
    const page = await context.newPage();
    await KINDS[shot.kind](page, shot.url);
    if (shot.element) await page.locator(shot.element).last().screenshot({ path: shot.path });
    else await page.screenshot({ path: shot.path, clip: shot.clip || undefined });
    await context.close();
  }
  await browser.close();
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
