//! The words of `builtin:reviews`: topics, praise and blame, and phrases that change how an opinion counts.
//!
//! Every phrase was written for this generator. A phrase is praise or blame by the table in which it
//! stands; a filler has no sentiment.

/// A kind of thing that is reviewed, such as hotels.
#[derive(Clone, Copy)]
pub(super) struct Topic {
    /// The aspects that opinions are about.
    pub(super) aspects: &'static [Aspect],
    /// Clauses without sentiment.
    pub(super) fillers: &'static [&'static str],
}

/// Something that an opinion can be about, with predicates that suit this aspect alone.
///
/// 大, 小, 高, 低, 长, 短, 快, 慢, 多 and 少 praise one aspect and blame another.
#[derive(Clone, Copy)]
pub(super) struct Aspect {
    /// Its name.
    pub(super) name: &'static str,
    /// Praise.
    pub(super) good: &'static [&'static str],
    /// Blame.
    pub(super) bad: &'static [&'static str],
}

const fn aspect(name: &'static str, good: &'static [&'static str], bad: &'static [&'static str]) -> Aspect {
    Aspect { name, good, bad }
}

/// Praise of any aspect.
pub(super) const GOOD: &[&str] = &["好", "棒", "出色", "理想", "靠谱", "让人满意"];

/// Blame of any aspect.
pub(super) const BAD: &[&str] = &["差", "糟糕", "敷衍", "离谱", "粗糙", "令人失望"];

/// Adverbs that weaken praise.
pub(super) const MILD_GOOD: &[&str] = &["还算", "勉强"];
/// Adverbs that weaken blame.
pub(super) const MILD_BAD: &[&str] = &["有点", "略微"];
/// Adverbs that leave an opinion as it is.
pub(super) const PLAIN: &[&str] = &["相当", "比较", "确实", "真的"];
/// Adverbs that strengthen.
pub(super) const STRONG: &[&str] = &["非常", "特别", "极其", "十分"];

/// Negations before the aspect; the opinion that they reverse follows some characters later.
pub(super) const NOT_BEFORE: &[&str] = &["并不觉得", "没觉得", "不认为"];
/// Negations right before the predicate.
pub(super) const NOT_WITHIN: &[&str] = &["并不", "不算"];
/// Two negations before the aspect, which leave the opinion as it is.
pub(super) const NOT_NOT: &[&str] = &["不得不承认", "没有人否认"];

/// Openers of a clause that decides the review.
pub(super) const BUT: &[&str] = &["但", "但是", "不过", "可是"];
/// Openers of a clause that concedes: it does not count.
pub(super) const ALTHOUGH: &[&str] = &["虽然", "尽管", "虽说"];
/// Openers of a clause that reports hearsay: it does not count.
pub(super) const HEARSAY: &[&str] = &["听说", "据说"];
/// Openers that change nothing.
pub(super) const OPENERS: &[&str] = &["感觉", "这次", "另外", "总体看", "说实话"];

/// Clauses without sentiment that suit every topic.
pub(super) const FILLERS: &[&str] = &[
    "上个月买的",
    "已经是第二次了",
    "和家里人一起",
    "用的是手机下单",
    "那天正好下雨",
    "写在这里给大家参考",
    "是同事介绍来的",
    "活动那几天付的款",
    "前后花了两百块",
    "第二天才想起来写评价",
    "之前在朋友家见过",
    "等了三天才轮到我",
    "顺便拍了几张照片",
    "下个月可能还要再来一趟",
    "孩子刚上小学",
    "我平时住在城东",
];

/// All topics.
pub(super) const TOPICS: &[Topic] = &[
    Topic {
        aspects: &[
            aspect("房间", &["宽敞"], &["潮湿"]),
            aspect("早餐", &["丰盛"], &["单调"]),
            aspect("服务", &["热情"], &["冷淡"]),
            aspect("前台", &["耐心"], &["冷淡"]),
            aspect("浴室", &["干净"], &["肮脏"]),
            aspect("床铺", &["大"], &["小"]),
            aspect("噪音", &["小"], &["大"]),
        ],
        fillers: &[
            "住了两个晚上",
            "房间在三楼",
            "离车站隔着一条街",
            "是出差时订的",
            "退房以后去了博物馆",
            "窗外是一条河",
        ],
    },
    Topic {
        aspects: &[
            aspect("菜品", &["新鲜"], &["油腻"]),
            aspect("服务", &["热情"], &["冷淡"]),
            aspect("环境", &["干净"], &["嘈杂"]),
            aspect("味道", &["可口"], &["单调"]),
            aspect("餐具", &["干净"], &["肮脏"]),
            aspect("分量", &["大"], &["小"]),
            aspect("消费", &["低"], &["高"]),
        ],
        fillers: &[
            "点了四菜一汤",
            "坐在靠窗的位置",
            "中午去的",
            "店开在商场五层",
            "还打包了一份炒饭",
            "一共来了六个人",
        ],
    },
    Topic {
        aspects: &[
            aspect("情节", &["紧凑"], &["拖沓"]),
            aspect("文笔", &["流畅"], &["生硬"]),
            aspect("翻译", &["流畅"], &["生硬"]),
            aspect("纸张", &["厚实"], &["单薄"]),
            aspect("印刷", &["清晰"], &["模糊"]),
            aspect("插图", &["精致"], &["模糊"]),
            aspect("定价", &["低"], &["高"]),
        ],
        fillers: &[
            "花了一周读完",
            "全书三百页",
            "是孩子学校要求买的",
            "封面是蓝色的",
            "作者以前写过散文",
            "放在书架第二层",
        ],
    },
    Topic {
        aspects: &[
            aspect("屏幕", &["清晰"], &["模糊"]),
            aspect("系统", &["流畅"], &["卡顿"]),
            aspect("做工", &["精致"], &["单薄"]),
            aspect("音质", &["清晰"], &["模糊"]),
            aspect("键盘", &["灵敏"], &["松动"]),
            aspect("画质", &["高"], &["低"]),
            aspect("耗电", &["低"], &["高"]),
        ],
        fillers: &[
            "买的是黑色款",
            "平时拿来看视频",
            "之前用的是旧款",
            "快递隔天送到",
            "充电口在左边",
            "给父母换的",
        ],
    },
];
