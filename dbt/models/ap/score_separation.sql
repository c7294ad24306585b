with
reporting_date as {{ rows_of(ref('reporting_date')) }},
fact_loan_month as {{ rows_of(ref('fact_loan_month')) }},
fact_decision as {{ rows_of(ref('fact_decision')) }},
fact_loan_outcome as {{ rows_of(ref('fact_loan_outcome')) }},

reported as (
    select r.as_of_date from reporting_date as r
),

-- The outcome window of a loan ends with its month on book `outcome_months`, as those of the vintages do.
loans as (
    select
        m.loan_hk, m.application_hk, m.currency,
        {{ month_end(add_months('m.disbursed_on', var('outcome_months'))) }} as window_ends_on
    from fact_loan_month as m
    where m.snapshot_kind = 'as_of' and m.status <> 'cancelled' and m.disbursed_on is not null
),

-- A window that is not over tells nothing of its loan, bad or good.
old_enough as (
    select l.* from loans as l inner join reported as r on l.window_ends_on <= r.as_of_date
),

by_score as (
    select
        o.currency, d.score,
        sum(case when b.bad_on <= o.window_ends_on then 0 else 1 end) as goods,
        sum(case when b.bad_on <= o.window_ends_on then 1 else 0 end) as bads
    from old_enough as o
    inner join fact_decision as d on d.application_hk = o.application_hk
    left join fact_loan_outcome as b on b.loan_hk = o.loan_hk
    where d.score is not null
    group by o.currency, d.score
),

summed as (
    select
        s.currency, s.score, s.goods, s.bads,
        sum(s.goods) over (partition by s.currency order by s.score rows unbounded preceding) as goods_up_to,
        sum(s.bads) over (partition by s.currency order by s.score rows unbounded preceding) as bads_up_to,
        sum(s.goods) over (partition by s.currency) as all_goods,
        sum(s.bads) over (partition by s.currency) as all_bads
    from by_score as s
),

-- Pairs of a good and a bad: the good has the higher score (1), both have the same (1/2).
pairs as (
    select
        s.currency,
        max(s.all_goods) as goods,
        max(s.all_bads) as bads,
        cast(max(s.all_goods) as float) * max(s.all_bads) as pairs,
        sum(cast(s.goods as float) * (s.bads_up_to - s.bads) + cast(s.goods as float) * s.bads / 2) as won,
        max(abs(cast(s.bads_up_to as float) * s.all_goods - cast(s.goods_up_to as float) * s.all_bads)) as distance
    from summed as s
    group by s.currency
),

final as (
    select
        r.as_of_date,
        p.currency,
        cast(k.kpi as varchar(40)) as kpi,
        cast(p.goods as bigint) as goods,
        cast(p.bads as bigint) as bads,
        cast(case when k.kpi = 'gini' then 2 * p.won - p.pairs else p.distance end as numeric(28, 4)) as numerator,
        cast(p.pairs as numeric(28, 4)) as denominator,
        {{ ratio("case when k.kpi = 'gini' then 2 * p.won - p.pairs else p.distance end", 'p.pairs') }} as value
    from pairs as p
    cross join reported as r
    cross join (values ('gini'), ('ks')) as k(kpi)
)

select * from final
