import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Problem } from "../../../lib/core/problem.ts";
import { checkClassNames, readClassMap, seeClass, wordNetId } from "../../../lib/data/imagenet/class_order.ts";
import { checkCounts, published } from "../../../lib/data/imagenet/counts.ts";

Deno.test("wordNetId() finds the id in the names that are in circulation", () => {
  for (
    const name of [
      "n01440764/n01440764_10026.JPEG",
      "n01440764_10026_n01440764.JPEG",
      "ILSVRC2012_val_00000293_n01440764.JPEG",
      "./train/n01440764_1.jpg",
    ]
  ) assertEquals(wordNetId(name), "n01440764");
  for (const name of ["ILSVRC2012_val_00000293.JPEG", "n0144076_1.JPEG", "pan01440764.jpg", "n014407641"]) {
    assertEquals(wordNetId(name), undefined);
  }
});

Deno.test("seeClass() accepts labels in the order of the ids, with gaps, and names any other", () => {
  const seen = new Map<number, string>();
  for (const [label, id] of [[5, "n03000000"], [0, "n01440764"], [9, "n09000000"], [5, "n03000000"]] as const) {
    assertEquals(seeClass(seen, label, id), undefined);
  }
  assertEquals(seeClass(seen, 5, "n04000000"), "is of class n04000000 and labelled 5, which is n03000000 elsewhere");
  assertEquals(
    seeClass(seen, 7, "n02000000"),
    "is of class n02000000 and labelled 7, while n03000000 is 5: labels must follow the sorted ids",
  );
  assertEquals([...seen.keys()], [5, 0, 9]);
});

Deno.test("checkClassNames() refuses a thousand classes that are not ILSVRC's", () => {
  const names = Array.from({ length: 1000 }, (_, i) => `n${String(i).padStart(8, "0")}`);
  assertThrows(() => checkClassNames("here", names), Problem, "Cannot use here: its 1000 classes are not");
  assertThrows(() => checkClassNames("here", names.with(7, "cats")), Problem, "(cats is none)");
  checkClassNames("here", names.slice(1));
});

Deno.test("readClassMap() gives the standard class of each of Chrabaszcz's numbers, and names a wrong line", async () => {
  const path = await Deno.makeTempFile();
  const of = async (text: string) => {
    await Deno.writeTextFile(path, text);
    return await readClassMap(path);
  };
  assertEquals([...await of("n02119789 1 kit_fox\nn02100735 2 English_setter\nn01440764 3 tench\n")], [2, 1, 0]);
  const wrong = {
    "n02119789 1 a\nn02100735 1 b\n": ":2: expected a WordNet id",
    "n02119789 1 a\nn02119789 2 b\n": ":2: expected a WordNet id",
    "n02119789 0 a\n": ":1: expected a WordNet id",
    "kit_fox 1\n": "got `kit_fox 1`",
    "n02119789 1 a\nn02100735 3 b\n": "it has no line for class 2",
    "": "it has no line for class 1",
  };
  for (const [text, words] of Object.entries(wrong)) await assertRejects(() => of(text), Problem, words);
  await Deno.remove(path);
});

Deno.test("checkCounts() says how many images are missing, and in which classes", () => {
  const labels = (counts: readonly number[]) =>
    Uint16Array.from(counts.flatMap((count, label) => new Array<number>(count).fill(label)));
  const expected = { train: 7, test: 3, classes: 3 };
  const check = (counts: readonly number[], classNames?: readonly string[]) =>
    checkCounts("here", { labels: labels(counts), ...(classNames && { classNames }) }, "train", expected);
  check([2, 4, 1]);
  assertThrows(() => check([2, 3, 1]), Problem, "there are 6, expected 7; complete them");
  assertThrows(() => check([3, 4, 0], ["a", "b", "c"]), Problem, "c has 0 (expected some)");
  assertThrows(() => check([2, 3, 1, 1]), Problem, "there is an image of class 3, expected classes 0 to 2");
  const validation = new Array<number>(1000).fill(50);
  checkCounts("here", { labels: labels(validation) }, "test", published);
  assertThrows(
    () => checkCounts("here", { labels: labels(validation.with(3, 49).with(8, 51)) }, "test", published),
    Problem,
    "Cannot use the test images in here: class 3 has 49, class 8 has 51 (expected 50); complete them, or if they are a " +
      "set of your own say so with data.expect.test=N and data.expect.classes=N",
  );
});
